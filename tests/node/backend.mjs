// A backend as the official Node examples write it: the signature is checked over the body as JavaScript prints it.
import { createServer } from 'node:http';
import { streamResponse, verifySignature } from '@layercode/node-server-sdk';

const secret = process.env.LAYERCODE_WEBHOOK_SECRET;
const report = (line) => process.stdout.write(JSON.stringify(line) + '\n');

async function answer(event) {
  if (event.type === 'data') return Response.json({ got: event.data });
  if (event.type === 'session.end' || event.type === 'session.update') return Response.json({ ok: true });
  return streamResponse(event, async ({ stream }) => {
    if (event.text === 'throw') throw new Error('handler failed');
    if (event.text === 'shop') stream.data({ basket: { bun: 2 } });
    for (const word of event.type === 'message' ? ['You ', 'said ', event.text, '.'] : ['Welcome.']) stream.tts(word);
    stream.end();
  });
}

const server = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const event = JSON.parse(Buffer.concat(chunks).toString('utf8'));
  const signature = request.headers['layercode-signature'] ?? '';
  const verified = verifySignature({ payload: JSON.stringify(event), signature, secret });
  report({ event, verified });
  const made = verified ? await answer(event) : Response.json({ error: 'bad signature' }, { status: 401 });
  response.writeHead(made.status, Object.fromEntries(made.headers));
  for await (const piece of made.body) response.write(piece);
  response.end();
});

server.listen(0, '127.0.0.1', () => report({ port: server.address().port }));
