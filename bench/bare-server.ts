/**
 * The ceiling: a bare `node:https` server, of one process or several, that answers each path with the headers and the
 * body that Strongroom answered there, and may do an operation with a key before.
 */
import cluster from 'node:cluster';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type PrimitiveName, primitiveOf } from './keys-primitives.ts';
import type { BareReplies } from './servers.ts';
import { type TokenWork, tokenWork } from './tokens-work.ts';

const [certFile = '', keyFile = '', repliesFile = '', count = '1'] = process.argv.slice(2);
const processes = Number(count);

if (processes > 1 && cluster.isPrimary) await startAll();
else await serve();

async function serve(): Promise<void> {
  const replies = JSON.parse(readFileSync(repliesFile, 'utf8')) as BareReplies;
  const byPath = new Map(replies.paths);
  const works = new Map<string, ReturnType<typeof primitiveOf>>();
  const value = randomBytes(32);
  for (const [path, { work }] of replies.paths) if (work !== undefined) works.set(path, await workOf(work));
  const server = createServer(
    { cert: readFileSync(certFile), key: readFileSync(keyFile) },
    (request, response) => {
      const { headers, body } = byPath.get(request.url ?? '') ?? replies.other;
      const answer = () => {
        response.writeHead(200, headers as string[]);
        response.end(body);
      };
      const work = works.get(request.url ?? '');
      request.resume();
      if (work === undefined) answer();
      else request.once('end', () => work(value, answer));
    },
  );
  server.listen(0, '127.0.0.1', () => {
    const { port } = server.address() as AddressInfo;
    if (process.send === undefined) process.stdout.write(`${port}\n`);
    else process.send(port);
  });
}

/** An error is not foreseen, and ends the process. */
async function workOf(work: PrimitiveName | TokenWork): Promise<ReturnType<typeof primitiveOf>> {
  if (work !== 'sign a JWT' && work !== 'verify a JWT') return primitiveOf(work);
  const run = await tokenWork(work);
  return (_value, done) => void run().then(done);
}

/** All workers share the port that the first of them got. */
async function startAll(): Promise<void> {
  const workers = Array.from({ length: processes }, () => cluster.fork());
  const ports = await Promise.all(workers.map((worker) => once(worker, 'message')));
  process.stdout.write(`${ports[0]?.[0]}\n`);
  process.once('SIGTERM', () => {
    for (const worker of workers) worker.kill();
    cluster.disconnect(() => process.exit());
  });
}
