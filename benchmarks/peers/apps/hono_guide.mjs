// A Hono backend on Node with the platform's SDK and the AI SDK, of the shape that the platform's guide shows.
// Events that are no turns are acknowledged, which is kinder than need be. With ECHO=1 it asks no model.
import { createOpenAI } from '@ai-sdk/openai';
import { serve } from '@hono/node-server';
import { streamResponse, verifySignature } from '@layercode/node-server-sdk';
import { streamText } from 'ai';
import { Hono } from 'hono';

const secret = process.env.LAYERCODE_WEBHOOK_SECRET;
const echo = process.env.ECHO === '1';
const openai = createOpenAI({ baseURL: process.env.OPENAI_BASE_URL, apiKey: process.env.OPENAI_API_KEY });
const conversations = {};

const app = new Hono();

app.post('/webhook', async (context) => {
  const payload = await context.req.text();
  const signature = context.req.header('layercode-signature') || '';
  if (!verifySignature({ payload, signature, secret })) return context.json({ error: 'Invalid signature' }, 401);

  const event = JSON.parse(payload);
  if (event.type === 'session.start') {
    return streamResponse(event, async ({ stream }) => {
      stream.tts('Welcome. How can I help you?');
      stream.end();
    });
  }
  if (event.type !== 'message') return context.json({ ok: true });

  const messages = (conversations[event.conversation_id] ??= []);
  messages.push({ role: 'user', content: event.text });
  return streamResponse(event, async ({ stream }) => {
    if (echo) {
      stream.tts(`You said: ${event.text}`);
      stream.end();
      return;
    }
    const { textStream } = streamText({
      model: openai.chat('gpt-test'),
      system: 'Be brief.',
      messages,
      onFinish: ({ response }) => {
        messages.push(...response.messages);
        stream.end();
      },
    });
    await stream.ttsTextStream(textStream);
  });
});

serve({ fetch: app.fetch, hostname: '127.0.0.1', port: Number(process.env.PORT) });
