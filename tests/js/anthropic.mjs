// Asks the router with Anthropic's own SDK: models, one whole answer, one streamed.
import Anthropic from '@anthropic-ai/sdk';

const { url, model, text } = JSON.parse(process.argv[2]);
const client = new Anthropic({ baseURL: url, apiKey: 'none', maxRetries: 0 });
const question = { model, max_tokens: 64, messages: [{ role: 'user', content: text }] };

const models = (await client.models.list()).data.map(({ id }) => id);
const whole = await client.messages.create(question);
const streamed = await client.messages.stream(question).finalMessage();
const said = (message) => message.content.map((block) => block.text ?? '').join('');
console.log(JSON.stringify({ models, whole: said(whole), stop: whole.stop_reason, streamed: said(streamed), usage: streamed.usage }));
