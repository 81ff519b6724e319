/** A whole server for one test: own data folder, free ports, clock in the test's hands; removed afterwards. */
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { ClientSecretCredential } from '@azure/identity';
import { SecretClient, type SecretClientOptions } from '@azure/keyvault-secrets';
import { Client } from 'pg';
import { type Config, loadConfig } from '../../src/config.ts';
import { type Clock, systemClock } from '../../src/core/clock.ts';
import { silentLog } from '../../src/core/log.ts';
import { openService, type Service, type Surroundings } from '../../src/service.ts';
import { newPostgresDatabase } from './postgres.ts';
import type { TestDatabase } from './postgres-cluster.ts';
import { trust } from './trusted.ts';

export interface TestServer {
  readonly service: Service;
  readonly folder: string;
  readonly port: number;
  readonly localPort: number;
  /** The authority's certificate, PEM; empty where the settings name a certificate. */
  readonly ca: string;
  readonly tenantId: string;
  readonly clientId: string;
  readonly clientSecret: string;
  /** The operator's operations. */
  control<T>(operation: string, input?: object): Promise<T>;
  /**
   * Stops the server, keeps its data, and serves it again; `between` runs while it is stopped. `other` settings hold
   * until the next restart, besides those of the first start.
   */
  restart(
    between?: (() => Promise<void> | void) | undefined,
    other?: Readonly<Record<string, unknown>>,
  ): Promise<void>;
  /** Runs one statement, with `?` for its parameters, on the database of the stopped server; answers the rows changed. */
  alter(statement: string, ...parameters: string[]): Promise<number>;
  close(): Promise<void>;
}

export interface TestServerOptions extends Surroundings {
  readonly clock?: Clock;
  /** Settings besides the test's own; `data` names a folder that is there already, and is removed as any other. */
  readonly settings?: Readonly<Record<string, unknown>>;
}

interface ClientEnvironment {
  readonly tenantId: string;
  readonly clientId: string;
  readonly clientSecret: string;
}

/** Whether this run of the suites is the one on PostgreSQL. */
export const onPostgres = process.env.STRONGROOM_TEST_DATABASE === 'postgres';

/** The databases of this run's servers, by their data folders. */
const databases = new Map<string, TestDatabase>();

/** Starts a server with `--dev`'s vault and identities, on the database of this run. */
export async function startTestServer(options: TestServerOptions = {}): Promise<TestServer> {
  const { settings, ...surroundings } = options;
  const given = settings?.data;
  const folder = typeof given === 'string' ? given : await mkdtemp(join(tmpdir(), 'strongroom-test-'));
  const database = onPostgres
    ? (databases.get(folder) ?? (await newPostgresDatabase('migrated')))
    : undefined;
  if (database !== undefined) databases.set(folder, database);
  const flags = {
    ...{ data: folder, dev: true, listen: ['127.0.0.1'], port: 0, localPort: 0 },
    ...(database === undefined ? {} : { databaseUrl: database.url, databasePoolSize: 4 }),
    ...settings,
  };
  const remove = async () => {
    databases.delete(folder);
    await database?.drop();
    await rm(folder, { recursive: true, force: true });
  };
  const open = () => openService(config, { clock: systemClock, log: silentLog, ...surroundings });
  let config: Config;
  let service: Service;
  let ports: { port: number; localPort: number | undefined };
  try {
    config = loadConfig({ flags, environment: {} });
    service = await open();
    ports = await startOrClose(service);
  } catch (error) {
    await remove();
    throw error;
  }
  const environment = (await service.control('client-environment', {})) as ClientEnvironment;
  // A server with a certificate of its operator's has no authority.
  const ca = existsSync(config.paths.authority) ? await readFile(config.paths.authority, 'utf8') : '';
  // Azure's clients take no authority of their own when they go through a proxy; `exec` uses NODE_EXTRA_CA_CERTS.
  const distrust = ca === '' ? undefined : trust(ca);
  return {
    get service() {
      return service;
    },
    folder,
    get port() {
      return ports.port;
    },
    get localPort() {
      return ports.localPort ?? 0;
    },
    ca,
    tenantId: environment.tenantId,
    clientId: environment.clientId,
    clientSecret: environment.clientSecret,
    control: async <T>(operation: string, input: object = {}) =>
      (await service.control(operation, input)) as T,
    async restart(between, other = {}) {
      await service.close();
      await between?.();
      config = loadConfig({ flags: { ...flags, ...other }, environment: {} });
      service = await open();
      ports = await service.start();
    },
    alter: (statement, ...parameters) =>
      database === undefined
        ? alterSqlite(join(folder, 'strongroom.db'), statement, parameters)
        : alterPostgres(database.url, statement, parameters),
    async close() {
      distrust?.();
      await service.close();
      await remove();
    },
  };
}

async function alterSqlite(path: string, statement: string, parameters: string[]): Promise<number> {
  const database = new DatabaseSync(path);
  try {
    return Number(database.prepare(statement).run(...parameters).changes);
  } finally {
    database.close();
  }
}

async function alterPostgres(url: string, statement: string, parameters: string[]): Promise<number> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    let place = 0;
    const numbered = statement.replaceAll('?', () => {
      place += 1;
      return `$${place}`;
    });
    return (await client.query(numbered, parameters)).rowCount ?? 0;
  } finally {
    await client.end();
  }
}

async function startOrClose(service: Service) {
  try {
    return await service.start();
  } catch (error) {
    await service.close();
    throw error;
  }
}

export interface RawRequest {
  /** The name that is asked for, in the Host header and as the TLS server name; no port means 443. */
  readonly host: string;
  readonly method?: string;
  /** Path and query as they go on the wire. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  /** The loopback address that the request comes from. */
  readonly localAddress?: string;
}

export interface RawResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into replies of every shape
  readonly json: any;
}

/** One request on a connection of its own, as it is written here: nothing is added or corrected. */
export function send(server: TestServer, request: RawRequest): Promise<RawResponse> {
  const { host, method = 'GET', path, headers = {}, body, localAddress } = request;
  const servername = host.replace(/:\d+$/, '');
  return new Promise((resolve, reject) => {
    const sent = httpsRequest(
      {
        host: '127.0.0.1',
        port: server.port,
        servername,
        ca: server.ca,
        agent: false,
        method,
        path,
        ...(localAddress === undefined ? {} : { localAddress }),
        headers: { Host: host, ...headers },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString('utf8');
          const isJson = response.headers['content-type']?.includes('json') === true && text !== '';
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers as Record<string, string>,
            text,
            json: isJson ? JSON.parse(text) : undefined,
          });
        });
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

export interface Identity {
  readonly clientId: string;
  readonly clientSecret: string;
}

/** A token of the test's own service principal, or of another, for a resource (default: Azure Key Vault). */
export async function tokenFor(
  server: TestServer,
  of: { identity?: Identity; resource?: string } = {},
): Promise<string> {
  const { clientId, clientSecret } = of.identity ?? server;
  const form = new URLSearchParams({
    grant_type: 'client_credentials',
    client_id: clientId,
    client_secret: clientSecret,
    scope: `${of.resource ?? 'https://vault.azure.net'}/.default`,
  });
  const reply = await send(server, {
    host: 'login.microsoftonline.com',
    method: 'POST',
    path: `/${server.tenantId}/oauth2/v2.0/token`,
    headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    body: form.toString(),
  });
  if (reply.status !== 200) throw new Error(`no token: ${reply.text}`);
  return reply.json.access_token as string;
}

/** A new service principal with a secret, and the roles given. */
export async function makeIdentity(
  server: TestServer,
  name: string,
  grants: readonly { role: string; vault?: string; scope?: string }[] = [],
): Promise<Identity & { objectId: string }> {
  const made = await server.control<{ clientId: string; objectId: string }>('identity create', { name });
  const { secret } = await server.control<{ secret: string }>('identity secret', { identity: made.objectId });
  for (const grant of grants) await server.control('identity grant', { identity: made.objectId, ...grant });
  return { clientId: made.clientId, objectId: made.objectId, clientSecret: secret };
}

/** Sends a data-plane request to a vault under Azure's name, with a token of the test's own service principal. */
export function vaultCaller(
  server: TestServer,
  token: string,
  vault = 'dev',
): (method: string, path: string, body?: unknown, headers?: Record<string, string>) => Promise<RawResponse> {
  return (method, path, body, headers = {}) =>
    send(server, {
      host: `${vault}.vault.azure.net`,
      method,
      path: path.includes('api-version')
        ? path
        : `${path}${path.includes('?') ? '&' : '?'}api-version=2025-07-01`,
      headers: {
        Authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
}

/** What brings Azure's clients to the test's server: a credential, and their own proxy option and nothing else. */
export function azureAccess(server: TestServer, { clientId, clientSecret }: Identity = server) {
  const way = { proxyOptions: { host: 'http://127.0.0.1', port: server.localPort } };
  return { way, credential: new ClientSecretCredential(server.tenantId, clientId, clientSecret, way) };
}

/** The official client, brought to the test's server. */
export function secretClient(
  server: TestServer,
  options: SecretClientOptions & { vault?: string; identity?: Identity } = {},
): SecretClient {
  const { vault = 'dev', identity, ...rest } = options;
  const { way, credential } = azureAccess(server, identity);
  return new SecretClient(`https://${vault}.vault.azure.net`, credential, { ...way, ...rest });
}
