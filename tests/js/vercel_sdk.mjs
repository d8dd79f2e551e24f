// Vercel's AI SDK with three of its providers: OpenAI's responses, Anthropic's messages, whatever is compatible with completions.
import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, Output, RetryError, embedMany, generateText, jsonSchema, streamText, tool } from 'ai';
import { City, TOOL, serve, weather } from './serve.mjs';

globalThis.AI_SDK_LOG_WARNINGS = false;

const DOORS = {
  chat: ({ url }) => createOpenAICompatible({ name: 'router', baseURL: `${url}/v1`, apiKey: 'none', includeUsage: true, supportsStructuredOutputs: true }),
  responses: ({ url }) => createOpenAI({ baseURL: `${url}/v1`, apiKey: 'none' }),
  messages: ({ url }) => createAnthropic({ baseURL: `${url}/v1`, apiKey: 'none' }),
};
const THINKS = {
  chat: { providerOptions: { router: { reasoningEffort: 'low' } } },
  responses: { providerOptions: { openai: { reasoningEffort: 'low', reasoningSummary: 'auto', store: false, forceReasoning: true } } },
  messages: { maxOutputTokens: 4096, providerOptions: { anthropic: { thinking: { type: 'enabled', budgetTokens: 1024 } } } },
};
const QUESTION = { role: 'user', content: 'hello' };

// The result once all has come, and the pieces of text it came in.
async function tell(ask, messages, more = {}) {
  const question = { model: DOORS[ask.door](ask)(ask.model), messages, ...more };
  if (!ask.stream) {
    const result = await generateText(question);
    return { result, pieces: [result.text] };
  }
  let failure;
  const stream = streamText({ ...question, onError: ({ error }) => { failure = error; } });
  const pieces = [];
  for await (const piece of stream.textStream) pieces.push(piece);
  if (failure) throw failure;
  const result = {};
  for (const name of ['text', 'finishReason', 'usage', 'toolCalls', 'reasoningText', 'responseMessages']) result[name] = await stream[name];
  if (more.output) result.output = await stream.output;
  return { result, pieces };
}

async function chat(ask) {
  const { result, pieces } = await tell(ask, [QUESTION]);
  return { pieces, finish: result.finishReason, usage: [result.usage.inputTokens, result.usage.outputTokens] };
}

async function tools(ask) {
  const tools = { [TOOL.name]: tool({ description: TOOL.description, inputSchema: jsonSchema(TOOL.parameters) }) };
  const { result } = await tell(ask, [QUESTION], { tools });
  const results = result.toolCalls.map(({ toolCallId, toolName, input }) => (
    { type: 'tool-result', toolCallId, toolName, output: { type: 'text', value: weather(input) } }
  ));
  const { pieces } = await tell(ask, [QUESTION, ...result.responseMessages, { role: 'tool', content: results }], { tools });
  return { calls: result.toolCalls.map(({ toolName, input }) => [toolName, input]), finish: result.finishReason, text: pieces.join('') };
}

async function images(ask) {
  const picture = { type: 'file', data: ask.picture, mediaType: 'image/png' };
  const { pieces } = await tell(ask, [{ role: 'user', content: [{ type: 'text', text: 'what is it?' }, picture] }]);
  return { text: pieces.join('') };
}

async function thinking(ask) {
  const { result, pieces } = await tell(ask, [QUESTION], THINKS[ask.door]);
  await tell(ask, [QUESTION, ...result.responseMessages, { role: 'user', content: 'more' }], THINKS[ask.door]);
  return { thought: result.reasoningText ?? '', text: pieces.join('') };
}

async function schema(ask) {
  const { result } = await tell(ask, [QUESTION], { output: Output.object({ schema: City }) });
  return { parsed: result.output };
}

async function embeddings(ask) {
  const model = DOORS[ask.door](ask).embeddingModel(ask.model);
  const { embeddings: vectors } = await embedMany({ model, values: ['one', 'three'] });
  return { vectors };
}

const abilities = { chat, tools, images, thinking, schema, embeddings };
const refusal = (failure) => (RetryError.isInstance(failure) ? failure.lastError : failure);
await serve({ chat: abilities, responses: abilities, messages: abilities }, (failure) => APICallError.isInstance(refusal(failure)) && refusal(failure).statusCode);
