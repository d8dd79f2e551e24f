// The official client of 2025-11-25 and its tasks, before the router: `tasks_client.mjs URL PREFIX` prints what it saw.

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { CallToolResultSchema, ElicitRequestSchema, TaskStatusNotificationSchema } from "@modelcontextprotocol/sdk/types.js";

const [url, prefix] = process.argv.slice(2);
const client = new Client(
  { name: "tasks", version: "1" },
  { capabilities: { elicitation: { form: {} }, tasks: { requests: { elicitation: { create: {} } } } } },
);
const asked = [];
const told = [];
client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
  asked.push(params.message);
  const [field] = Object.keys(params.requestedSchema.properties);
  return { action: "accept", content: { [field]: field === "confirm" ? true : `to ${params.message}` } };
});
client.setNotificationHandler(TaskStatusNotificationSchema, ({ params }) => told.push(params));
await client.connect(new StreamableHTTPClientTransport(new URL(url)));
const { tools } = await client.listTools();

const ids = [];

/** Calls a tool as a task, and follows it to its end; what it says, or why it says nothing. */
async function run(tool, args) {
  const seen = [];
  const stream = client.experimental.tasks.callToolStream({ name: `${prefix}${tool}`, arguments: args }, CallToolResultSchema, { task: {} });
  for await (const message of stream) {
    if (message.type === "taskCreated") ids.push(message.task.taskId);
    if (message.type === "result") seen.push(message.result.content[0].text);
    if (message.type === "error") seen.push(`!${message.error.message}`);
  }
  return seen.join(" ");
}

const said = {
  slow: await run("slow_compute", { seconds: 0.2, label: "it" }),
  asks: await run("confirm_delete", { filename: "a.txt" }),
  twice: await run("multi_input", {}),
  fails: await run("failing_job", {}),
};

const begun = await client.callTool({ name: `${prefix}slow_compute`, arguments: { seconds: 60, label: "long" }, task: {} });
const { taskId } = begun.task;
const before = await client.experimental.tasks.getTask(taskId);
const cancelled = await client.experimental.tasks.cancelTask(taskId);
const { tasks } = await client.experimental.tasks.listTasks();

console.log(
  JSON.stringify({
    supports: Object.fromEntries(tools.map(({ name, execution }) => [name, execution?.taskSupport])),
    promised: client.getServerCapabilities().tasks,
    said,
    asked,
    statuses: [before.status, cancelled.status],
    mine: tasks.map((task) => task.taskId),
    ids: [...ids, taskId],
    told: told.filter((task) => ids.includes(task.taskId) || task.taskId === taskId).length === told.length,
  }),
);
await client.close();
