// A client as a program: every line of its input is an ask in JSON, every line of its output what came of it.
import readline from 'node:readline';
import { z } from 'zod';

export const TOOL = {
  name: 'weather',
  description: 'Tells the weather of a city.',
  parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false },
};

// What is asked for in a shape; the order of the fields is not that of the alphabet.
export const City = z.object({ zeta: z.string(), alpha: z.number() });

export const weather = ({ city }) => `rain in ${city}`;

// The abilities are by door, then by name; `status` finds the status of a refusal in what was thrown.
export async function serve(abilities, status = (failure) => failure.status) {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const ask = JSON.parse(line);
    let told;
    try {
      told = await abilities[ask.door][ask.ability](ask);
    } catch (failure) {
      const found = status(failure);
      told = found ? { status: found, message: String(failure.message) } : { broken: String(failure.stack ?? failure) };
    }
    console.log(JSON.stringify(told));
  }
}
