/**
 * The ceiling: a bare `node:https` server, of one process or several, that answers each path with the headers and the
 * body that Strongroom answered there.
 */
import cluster from 'node:cluster';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';

interface Reply {
  readonly headers: string[];
  readonly body: string;
}

const [certFile = '', keyFile = '', repliesFile = '', count = '1'] = process.argv.slice(2);
const processes = Number(count);

if (processes > 1 && cluster.isPrimary) await startAll();
else serve();

function serve(): void {
  const replies = JSON.parse(readFileSync(repliesFile, 'utf8')) as { other: Reply; paths: [string, Reply][] };
  const byPath = new Map(replies.paths);
  const server = createServer(
    { cert: readFileSync(certFile), key: readFileSync(keyFile) },
    (request, response) => {
      const { headers, body } = byPath.get(request.url ?? '') ?? replies.other;
      request.resume();
      response.writeHead(200, headers);
      response.end(body);
    },
  );
  server.listen(0, '127.0.0.1', () => {
    const { port } = server.address() as AddressInfo;
    if (process.send === undefined) process.stdout.write(`${port}\n`);
    else process.send(port);
  });
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
