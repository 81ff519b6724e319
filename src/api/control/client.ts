/** The other end of the control socket. What commands load to talk to a serving process is this, and not the server. */
import { request as httpRequest } from 'node:http';
import { Failure, type FailureKind } from '../../core/errors.ts';

/** Runs one operation by name, wherever it runs. Fails as the operation does. */
export type Control = (operation: string, input: object) => Promise<unknown>;

/** The control of a serving process, over its socket; undefined if none is serving. */
export async function remoteControl(path: string): Promise<Control | undefined> {
  const call: Control = (operation, input) =>
    new Promise((resolve, reject) => {
      const request = httpRequest({ socketPath: path, method: 'POST', path: '/' }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const reply = JSON.parse(Buffer.concat(chunks).toString('utf8')) as {
            result?: unknown;
            failure?: { kind: FailureKind; message: string };
          };
          if (reply.failure === undefined) resolve(reply.result);
          else reject(new Failure(reply.failure.kind, reply.failure.message));
        });
      });
      request.on('error', reject);
      request.end(JSON.stringify({ operation, input }));
    });
  try {
    await call('status', {});
    return call;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ECONNREFUSED') return undefined;
    throw error;
  }
}
