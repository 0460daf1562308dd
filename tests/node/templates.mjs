// The two official Next.js templates' way of keeping history, small: what came is put into it before its type is looked
// at, and the model's SDK refuses a history in which a message has no text. POST /text or /parts.
import { createServer } from 'node:http';
import { streamResponse, verifySignature } from '@layercode/node-server-sdk';

const secret = process.env.LAYERCODE_WEBHOOK_SECRET;
const conversations = {};

const ways = {
  '/text': { message: (role, text) => ({ role, content: text }), textOf: (message) => message.content },
  '/parts': {
    message: (role, text) => ({ role, parts: [{ type: 'text', text }] }),
    textOf: (message) => message.parts[0].text,
  },
};

// As the AI SDK does before it asks a model.
function standardize(messages, textOf) {
  for (const message of messages)
    if (typeof textOf(message) !== 'string') throw new TypeError('Invalid prompt: messages do not match the schema');
  return messages;
}

async function* generate(messages, textOf) {
  const said = standardize(messages, textOf).filter((message) => message.role === 'user').map(textOf);
  yield 'You said ';
  yield said.filter((text) => text).join(', ') + '.';
}

async function answer(event, way) {
  const { message, textOf } = ways[way];
  const history = (conversations[way + event.conversation_id] ??= []);
  history.push(message('user', event.text));
  if (event.type === 'session.start' || event.type === 'welcome')
    return streamResponse(event, async ({ stream }) => {
      history.push(message('assistant', 'Welcome.'));
      stream.tts('Welcome.');
      stream.end();
    });
  if (event.type !== 'message') return Response.json({ ok: true });
  return streamResponse(event, async ({ stream }) => {
    let reply = '';
    for await (const piece of generate(history, textOf)) {
      reply += piece;
      stream.tts(piece);
    }
    history.push(message('assistant', reply));
    stream.end();
  });
}

const server = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const event = JSON.parse(Buffer.concat(chunks).toString('utf8'));
  const signature = request.headers['layercode-signature'] ?? '';
  const verified = verifySignature({ payload: JSON.stringify(event), signature, secret });
  const made = verified ? await answer(event, request.url) : Response.json({ error: 'bad signature' }, { status: 401 });
  response.writeHead(made.status, Object.fromEntries(made.headers));
  for await (const piece of made.body) response.write(piece);
  response.end();
});

server.listen(0, '127.0.0.1', () => process.stdout.write(JSON.stringify({ port: server.address().port }) + '\n'));
