// Browsers start no worker in a page that was opened as a file. There the search runs in a hidden frame instead.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      document.body.append(this.frame);
      const inner = this.frame.contentWindow;
      inner.importScripts = (...urls) =>
        urls.reduce((before, one) => before.then(() => load(inner, one)), Promise.resolve());
      // As with a worker, messages in both directions are sent asynchronously, and their data is copied.
      inner.postMessage = (data) => {
        const event = new MessageEvent("message", { data: structuredClone(data) });
        setTimeout(() => {
          this.dispatchEvent(event);
          if (this.onmessage) this.onmessage(event);
        });
      };
      this.ready = load(inner, url);
    }
    postMessage(data) {
      const copied = structuredClone(data);
      this.ready.then(() => {
        const inner = this.frame.contentWindow;
        if (inner) setTimeout(() => inner.dispatchEvent(new inner.MessageEvent("message", { data: copied })));
      });
    }
    terminate() {
      this.frame.remove();
    }
  };

  function load(inner, url) {
    return new Promise((done, failed) => {
      const script = inner.document.createElement("script");
      script.src = new URL(url, location.href);
      script.onload = done;
      script.onerror = failed;
      inner.document.body.append(script);
    });
  }
}
