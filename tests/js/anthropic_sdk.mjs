// Anthropic's own SDK.
import Anthropic from '@anthropic-ai/sdk';
import { zodOutputFormat } from '@anthropic-ai/sdk/helpers/zod';
import { City, TOOL, serve, weather } from './serve.mjs';

const QUESTION = { role: 'user', content: 'hello' };
const clientOf = ({ url }) => new Anthropic({ baseURL: url, apiKey: 'none', timeout: 20_000 });

// The message, and the pieces of text it came in.
async function tell(ask, messages, more = {}) {
  const client = clientOf(ask).messages;
  const question = { model: ask.model, max_tokens: 64, messages, ...more };
  if (!ask.stream) {
    const message = await client.create(question);
    return { message, pieces: message.content.filter(({ type }) => type === 'text').map(({ text }) => text) };
  }
  const pieces = [];
  const message = await client.stream(question).on('text', (text) => pieces.push(text)).finalMessage();
  return { message, pieces };
}

async function chat(ask) {
  const { message, pieces } = await tell(ask, [QUESTION]);
  return { pieces, finish: message.stop_reason, usage: [message.usage.input_tokens, message.usage.output_tokens] };
}

async function tools(ask) {
  const tools = [{ name: TOOL.name, description: TOOL.description, input_schema: TOOL.parameters }];
  const { message } = await tell(ask, [QUESTION], { tools });
  const calls = message.content.filter(({ type }) => type === 'tool_use');
  const results = calls.map(({ id, input }) => ({ type: 'tool_result', tool_use_id: id, content: weather(input) }));
  const { pieces } = await tell(ask, [QUESTION, { role: 'assistant', content: message.content }, { role: 'user', content: results }], { tools });
  return { calls: calls.map(({ name, input }) => [name, input]), finish: message.stop_reason, text: pieces.join('') };
}

async function images(ask) {
  const picture = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: ask.picture } };
  const { pieces } = await tell(ask, [{ role: 'user', content: [picture, { type: 'text', text: 'what is it?' }] }]);
  return { text: pieces.join('') };
}

async function thinking(ask) {
  const wish = { max_tokens: 4096, thinking: { type: 'enabled', budget_tokens: 1024 } };
  const { message, pieces } = await tell(ask, [QUESTION], wish);
  await tell(ask, [QUESTION, { role: 'assistant', content: message.content }, { role: 'user', content: 'more' }], wish);
  const thoughts = message.content.filter(({ type }) => type === 'thinking').map(({ thinking }) => thinking);
  return { thought: thoughts.join(''), text: pieces.join('') };
}

async function schema(ask) {
  const wish = { output_config: { format: zodOutputFormat(City) } };
  const message = ask.stream
    ? (await tell(ask, [QUESTION], wish)).message
    : await clientOf(ask).messages.parse({ model: ask.model, max_tokens: 64, messages: [QUESTION], ...wish });
  return { parsed: message.parsed_output };
}

await serve({ messages: { chat, tools, images, thinking, schema } });
