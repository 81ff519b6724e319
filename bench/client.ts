/** Single requests, for what must be known before anything is measured. */
import { Agent, request } from 'node:https';

export const vaultHost = 'dev.vault.azure.net';
export const loginHost = 'login.microsoftonline.com';
export const apiVersion = 'api-version=2025-07-01';

/** How to sign in as the developer of the seeded vault. */
export interface Identity {
  readonly tenantId: string;
  readonly clientId: string;
  readonly clientSecret: string;
}

export interface Reply {
  readonly status: number;
  /** Names and values in turn, without those that belong to the connection. */
  readonly headers: readonly string[];
  readonly body: string;
}

export interface Asked {
  readonly host: string;
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface Client {
  /** Rejects unless the answer is a success, or has the status that is expected. */
  ask(asked: Asked, expected?: number): Promise<Reply>;
  close(): void;
}

/** Keeps its connections. */
export function createClient(at: { readonly port: number; readonly ca: string }): Client {
  const agents = new Map<string, Agent>();
  const agentOf = (servername: string) => {
    const known = agents.get(servername);
    if (known !== undefined) return known;
    const made = new Agent({ keepAlive: true, servername, ca: at.ca });
    agents.set(servername, made);
    return made;
  };
  return {
    async ask(asked, expected = 200) {
      const reply = await send(agentOf(asked.host), at.port, asked);
      if (reply.status === expected) return reply;
      throw new Error(`${asked.method} ${asked.path} answered ${reply.status}: ${reply.body}`);
    },
    close() {
      for (const agent of agents.values()) agent.destroy();
    },
  };
}

/** What is posted to the token endpoint, and where. */
export function tokenRequest({ tenantId, clientId, clientSecret }: Identity) {
  const form = {
    grant_type: 'client_credentials',
    client_id: clientId,
    client_secret: clientSecret,
    scope: 'https://vault.azure.net/.default',
  };
  return {
    path: `/${tenantId}/oauth2/v2.0/token`,
    type: 'application/x-www-form-urlencoded',
    body: new URLSearchParams(form).toString(),
  };
}

/** `count` tokens, all different, `atOnce` of them asked for at the same time. */
export async function tokensFor(
  client: Client,
  identity: Identity,
  { count, atOnce = 16 }: { count: number; atOnce?: number },
): Promise<string[]> {
  const { path, type, body } = tokenRequest(identity);
  const asked = { host: loginHost, method: 'POST', path, headers: { 'Content-Type': type }, body };
  const tokens: string[] = [];
  const take = async () => {
    while (tokens.length < count) {
      const reply = await client.ask(asked);
      tokens.push((JSON.parse(reply.body) as { access_token: string }).access_token);
    }
  };
  await Promise.all(Array.from({ length: Math.min(count, atOnce) }, take));
  return tokens.slice(0, count);
}

const ofTheConnection = ['date', 'connection', 'keep-alive'];

function send(agent: Agent, port: number, asked: Asked): Promise<Reply> {
  const { host, method, path, headers, body = '' } = asked;
  const length = body === '' ? {} : { 'Content-Length': String(Buffer.byteLength(body)) };
  const options = { agent, host: '127.0.0.1', port, method, path };
  return new Promise((resolve, reject) => {
    const sent = request({ ...options, headers: { Host: host, ...headers, ...length } }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => {
        const kept: string[] = [];
        for (let index = 0; index < response.rawHeaders.length; index += 2) {
          const [name = '', text = ''] = response.rawHeaders.slice(index, index + 2);
          if (!ofTheConnection.includes(name.toLowerCase())) kept.push(name, text);
        }
        resolve({ status: response.statusCode ?? 0, headers: kept, body: text });
      });
    });
    sent.on('error', reject);
    sent.end(body);
  });
}
