/** The ceiling: a bare `node:https` server that answers every request with the same headers and body. */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';

const [certFile = '', keyFile = '', replyFile = ''] = process.argv.slice(2);
const { headers, body } = JSON.parse(readFileSync(replyFile, 'utf8')) as { headers: string[]; body: string };

const server = createServer(
  { cert: readFileSync(certFile), key: readFileSync(keyFile) },
  (request, response) => {
    request.resume();
    response.writeHead(200, headers);
    response.end(body);
  },
);
server.listen(0, '127.0.0.1', () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`));
