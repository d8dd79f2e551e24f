// Asks the router with OpenAI's own SDK: models, one whole answer, one streamed.
import OpenAI from 'openai';

const { url, model, text } = JSON.parse(process.argv[2]);
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 });
const question = { model, messages: [{ role: 'user', content: text }] };

const models = (await client.models.list()).data.map(({ id }) => id);
const whole = await client.chat.completions.create(question);

let streamed = '';
let usage = null;
for await (const chunk of await client.chat.completions.create({ ...question, stream: true, stream_options: { include_usage: true } })) {
  streamed += chunk.choices[0]?.delta?.content ?? '';
  usage = chunk.usage ?? usage;
}
console.log(JSON.stringify({ models, whole: whole.choices[0].message.content, finish: whole.choices[0].finish_reason, streamed, usage }));
