/**
 * A client for servers that die: one kept-alive connection to a host of a server process, requests that end with a
 * whole answer or fail, and a sign-in as `--dev`'s own identity.
 */
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { join } from 'node:path';
import { remoteControl } from '../../src/api/control/client.ts';

export interface Reply {
  readonly status: number;
  readonly retryAfter: string | undefined;
  /** Differs from that of any other connection that is open. */
  readonly connection: string;
  // biome-ignore lint/suspicious/noExplicitAny: replies of several shapes
  readonly json: any;
}

export interface Connection {
  /** Rejects when no whole answer comes, and after 15 seconds of silence. */
  send(method: string, path: string, body?: object): Promise<Reply>;
  close(): void;
}

/** Where a server process is to be reached; the port may differ after each start. */
export interface Target {
  readonly folder: string;
  readonly port: number;
}

/** Milliseconds after which a request without an answer fails: far above every wait of the server's. */
const silence = 15_000;

/** One connection at a time; the port is asked for at each request. */
export function connectTo(server: Target, host: string, headers: Record<string, string> = {}): Connection {
  const ca = readFileSync(join(server.folder, 'ca.pem'));
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const sendOne = (method: string, path: string, body?: object) =>
    new Promise<Reply>((resolve, reject) => {
      const isForm = path.includes('oauth2');
      const type = isForm ? 'application/x-www-form-urlencoded' : 'application/json';
      const typed = body === undefined ? {} : { 'Content-Type': type };
      const at = { host: '127.0.0.1', port: server.port, servername: host, ca, agent };
      const sent = request(
        { ...at, method, path, headers: { ...headers, Host: host, ...typed } },
        (response) => {
          let text = '';
          const connection = `${response.socket.localPort} to ${response.socket.remotePort}`;
          response.setEncoding('utf8').on('data', (chunk: string) => {
            text += chunk;
          });
          response.on('error', reject);
          response.on('close', () => {
            if (!response.complete) reject(new Error('cut off'));
            else
              resolve({
                status: response.statusCode ?? 0,
                connection,
                retryAfter: response.headers['retry-after'],
                json: text === '' ? {} : JSON.parse(text),
              });
          });
        },
      );
      sent.setTimeout(silence, () => sent.destroy(new Error(`no answer to ${method} ${path}`)));
      sent.on('error', reject);
      if (body === undefined) sent.end();
      else sent.end(isForm ? new URLSearchParams({ ...body }).toString() : JSON.stringify(body));
    });
  return { send: sendOne, close: () => agent.destroy() };
}

export interface Application {
  readonly clientId: string;
  readonly clientSecret: string;
}

/** A bearer token for the vaults; of `--dev`'s own application, or of another. */
export async function signIn(server: Target, as?: Application): Promise<string> {
  const is = await controlOf<Application & { tenantId: string }>(server, 'client-environment');
  const { clientId, clientSecret } = as ?? is;
  const login = connectTo(server, 'login.microsoftonline.com');
  const reply = await login.send('POST', `/${is.tenantId}/oauth2/v2.0/token`, {
    grant_type: 'client_credentials',
    client_id: clientId,
    client_secret: clientSecret,
    scope: 'https://vault.azure.net/.default',
  });
  login.close();
  if (reply.status !== 200) throw new Error(`no token: ${JSON.stringify(reply)}`);
  return reply.json.access_token;
}

/** A connection to the vault `dev` with a token. */
export function connectVault(server: Target, token: string): Connection {
  return connectTo(server, 'dev.vault.azure.net', { Authorization: `Bearer ${token}` });
}

/** Runs an operator's operation in the serving process; rejects where none serves. */
export async function controlOf<T>(server: Target, operation: string, input: object = {}): Promise<T> {
  const control = await remoteControl(join(server.folder, 'control.sock'));
  if (control === undefined) throw new Error(`nothing serves ${server.folder}`);
  return (await control(operation, input)) as T;
}

/** The query of every request of these suites. */
export const apiVersion = '?api-version=7.4';

/** Sets a secret; throws if the vault does not take it. */
export async function putSecret(vault: Connection, name: string, value: string): Promise<void> {
  const { status } = await vault.send('PUT', `/secrets/${name}${apiVersion}`, { value });
  if (status !== 200) throw new Error(`the vault answered ${status}`);
}

/** The secret's value, or the status of the refusal. */
export async function readSecret(vault: Connection, name: string): Promise<unknown> {
  const { status, json } = await vault.send('GET', `/secrets/${name}${apiVersion}`);
  return status === 200 ? json.value : status;
}
