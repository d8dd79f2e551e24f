// OpenAI's own SDK at both of its doors, `chat` and `responses`.
import OpenAI from 'openai';
import { zodResponseFormat, zodTextFormat } from 'openai/helpers/zod';
import { City, TOOL, serve, weather } from './serve.mjs';

const QUESTION = { role: 'user', content: 'hello' };
const clientOf = ({ url }) => new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', timeout: 20_000 });

// -- chat completions

// The reply, the pieces of text it came in, and its thoughts.
async function complete(ask, messages, more = {}) {
  const client = clientOf(ask).chat.completions;
  if (!ask.stream) {
    const reply = await client.create({ model: ask.model, messages, ...more });
    const { message } = reply.choices[0];
    return { reply, pieces: [message.content], thought: message.reasoning_content ?? '' };
  }
  const stream = client.stream({ model: ask.model, messages, stream_options: { include_usage: true }, ...more });
  const pieces = [];
  let thought = '';
  for await (const chunk of stream) {
    const delta = chunk.choices[0]?.delta;
    if (delta?.content) pieces.push(delta.content);
    thought += delta?.reasoning_content ?? '';
  }
  return { reply: await stream.finalChatCompletion(), pieces, thought };
}

async function chat(ask) {
  const { reply, pieces } = await complete(ask, [QUESTION]);
  return { pieces, finish: reply.choices[0].finish_reason, usage: [reply.usage.prompt_tokens, reply.usage.completion_tokens] };
}

async function tools(ask) {
  const tools = [{ type: 'function', function: { ...TOOL, strict: true } }];
  const { message, finish_reason } = (await complete(ask, [QUESTION], { tools })).reply.choices[0];
  const calls = message.tool_calls.map((call) => ({ id: call.id, name: call.function.name, args: JSON.parse(call.function.arguments) }));
  const results = calls.map(({ id, args }) => ({ role: 'tool', tool_call_id: id, content: weather(args) }));
  const { pieces } = await complete(ask, [QUESTION, message, ...results], { tools });
  return { calls: calls.map(({ name, args }) => [name, args]), finish: finish_reason, text: pieces.join('') };
}

async function images(ask) {
  const picture = { type: 'image_url', image_url: { url: `data:image/png;base64,${ask.picture}` } };
  const { pieces } = await complete(ask, [{ role: 'user', content: [{ type: 'text', text: 'what is it?' }, picture] }]);
  return { text: pieces.join('') };
}

async function thinking(ask) {
  const { pieces, thought } = await complete(ask, [QUESTION], { reasoning_effort: 'low' });
  return { thought, text: pieces.join('') };
}

async function schema(ask) {
  const wish = { response_format: zodResponseFormat(City, 'city') };
  const reply = ask.stream
    ? (await complete(ask, [QUESTION], wish)).reply
    : await clientOf(ask).chat.completions.parse({ model: ask.model, messages: [QUESTION], ...wish });
  return { parsed: reply.choices[0].message.parsed };
}

async function embeddings(ask) {
  const { data } = await clientOf(ask).embeddings.create({ model: ask.model, input: ['one', 'three'] });
  return { vectors: data.map(({ embedding }) => embedding) };
}

// -- responses

async function respond(ask, input, more = {}) {
  const client = clientOf(ask).responses;
  if (!ask.stream) {
    const reply = await client.create({ model: ask.model, input, store: false, ...more });
    return { reply, pieces: [reply.output_text] };
  }
  const stream = client.stream({ model: ask.model, input, store: false, ...more });
  const pieces = [];
  for await (const event of stream) if (event.type === 'response.output_text.delta') pieces.push(event.delta);
  return { reply: await stream.finalResponse(), pieces };
}

// What the SDK adds to an item for its user is not for the model.
const itemsOf = (reply) => reply.output.map(({ parsed_arguments: _, ...item }) => item);

async function respondChat(ask) {
  const { reply, pieces } = await respond(ask, [QUESTION]);
  return { pieces, finish: reply.status, usage: [reply.usage.input_tokens, reply.usage.output_tokens] };
}

async function respondTools(ask) {
  const tools = [{ type: 'function', ...TOOL, strict: true }];
  const { reply } = await respond(ask, [QUESTION], { tools });
  const calls = reply.output.filter(({ type }) => type === 'function_call').map((item) => ({ id: item.call_id, name: item.name, args: JSON.parse(item.arguments) }));
  const results = calls.map(({ id, args }) => ({ type: 'function_call_output', call_id: id, output: weather(args) }));
  const { pieces } = await respond(ask, [QUESTION, ...itemsOf(reply), ...results], { tools });
  return { calls: calls.map(({ name, args }) => [name, args]), finish: reply.status, text: pieces.join('') };
}

async function respondImages(ask) {
  const picture = { type: 'input_image', image_url: `data:image/png;base64,${ask.picture}`, detail: 'auto' };
  const { pieces } = await respond(ask, [{ role: 'user', content: [{ type: 'input_text', text: 'what is it?' }, picture] }]);
  return { text: pieces.join('') };
}

async function respondThinking(ask) {
  const wish = { reasoning: { effort: 'low', summary: 'auto' }, include: ['reasoning.encrypted_content'] };
  const { reply, pieces } = await respond(ask, [QUESTION], wish);
  await respond(ask, [QUESTION, ...itemsOf(reply), { role: 'user', content: 'more' }], wish);
  const thoughts = reply.output.filter(({ type }) => type === 'reasoning').flatMap(({ summary }) => summary.map(({ text }) => text));
  return { thought: thoughts.join(''), text: pieces.join('') };
}

async function respondSchema(ask) {
  const wish = { text: { format: zodTextFormat(City, 'city') } };
  const reply = ask.stream
    ? (await respond(ask, [QUESTION], wish)).reply
    : await clientOf(ask).responses.parse({ model: ask.model, input: [QUESTION], store: false, ...wish });
  return { parsed: reply.output_parsed };
}

await serve({
  chat: { chat, tools, images, thinking, schema, embeddings },
  responses: { chat: respondChat, tools: respondTools, images: respondImages, thinking: respondThinking, schema: respondSchema },
});
