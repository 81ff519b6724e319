/**
 * Where the server goes for the keys of federated credentials' issuers, whom anybody names who may change the
 * directory: to the public Internet and what the configuration lets in, and nowhere in its own network.
 */
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeIdentity, type RawResponse, startTestServer, type TestServer } from '../support/server.ts';
import { postForm, vaultResource } from '../support/sign-in.ts';

interface Issuer {
  readonly port: number;
  /** Of everyone who connected. */
  readonly connections: number[];
  /** Where the discovery document says that the keys are, instead of beside it. */
  keysAt: string | undefined;
  sign(issuer: string): Promise<string>;
  close(): void;
}

let server: TestServer;
let issuer: Issuer;
let client: { clientId: string; objectId: string };

beforeAll(async () => {
  server = await startTestServer({ settings: { issuerNetworks: ['127.0.0.1/32'] } });
  issuer = await startIssuer();
  client = await makeIdentity(server, 'federated');
});
afterAll(async () => {
  issuer.close();
  await server.close();
});

/** Listens on two loopback addresses, and is whoever it is asked as. */
async function startIssuer(): Promise<Issuer> {
  const { publicKey, privateKey } = await generateKeyPair('RS256');
  const jwk = { ...(await exportJWK(publicKey)), kid: 'one', use: 'sig', alg: 'RS256' };
  const connections: number[] = [];
  const answer: RequestListener = (request, response) => {
    const url = `http://${request.headers.host}`;
    const body =
      request.url === '/keys' ? { keys: [jwk] } : { issuer: url, jwks_uri: made.keysAt ?? `${url}/keys` };
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify(body));
  };
  const listen = async (address: string, port: number) => {
    const http = createServer(answer).on('connection', ({ remotePort = 0 }) => connections.push(remotePort));
    await new Promise<void>((resolve) => http.listen(port, address, resolve));
    return http;
  };
  const letIn = await listen('127.0.0.1', 0);
  const { port } = letIn.address() as AddressInfo;
  const notLetIn = await listen('127.0.0.2', port);
  const made: Issuer = {
    port,
    connections,
    keysAt: undefined,
    close() {
      letIn.close();
      notLetIn.close();
    },
    sign(iss) {
      const now = Math.floor(Date.now() / 1000);
      const claims = { iss, sub: 'web', aud: 'api://AzureADTokenExchange', iat: now, exp: now + 600 };
      return new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid: 'one' }).sign(privateKey);
    },
  };
  return made;
}

const register = (url: string) =>
  server.control<{ keyId: string }>('identity add-federated', {
    identity: client.objectId,
    name: `n${Buffer.from(url).toString('hex').slice(-100)}`,
    issuer: url,
    subject: 'web',
  });

async function ask(url: string): Promise<RawResponse> {
  return postForm(server, `/${server.tenantId}/oauth2/v2.0/token`, {
    grant_type: 'client_credentials',
    client_id: client.clientId,
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: await issuer.sign(url),
    scope: `${vaultResource}/.default`,
  });
}

describe('issuers of federated credentials', () => {
  test('in a network that the configuration lets in are asked', async () => {
    const url = `http://127.0.0.1:${issuer.port}`;
    await register(url);
    const reply = await ask(url);
    expect(reply.status, reply.text).toBe(200);
    expect(issuer.connections).toHaveLength(2);
  });

  test('in any other network of this machine’s are not connected to, by address or by name', async () => {
    const before = issuer.connections.length;
    const { port } = issuer;
    for (const url of [
      `http://127.0.0.2:${port}`,
      `https://127.0.0.2:${port}`,
      `https://[::ffff:127.0.0.2]:${port}`,
      `https://[::1]:${port}`,
      `https://0.0.0.0:${port}`,
      'https://169.254.169.254',
      'https://10.0.0.1',
    ]) {
      await register(url);
      const reply = await ask(url);
      expect(reply.status, url).toBe(401);
      expect(reply.json.error_codes, url).toEqual([700027]);
    }
    expect(issuer.connections).toHaveLength(before);
  });

  test('cannot send the server on to another network by their discovery document', async () => {
    const url = `http://localhost:${issuer.port}`;
    issuer.keysAt = `http://127.0.0.2:${issuer.port}/keys`;
    await register(url);
    const before = issuer.connections.length;
    expect((await ask(url)).json.error_codes).toEqual([700027]);
    // For the document, and for nothing more.
    expect(issuer.connections).toHaveLength(before + 1);
  });

  test('are addresses under which a document can be, over https', async () => {
    for (const url of [
      'http://issuer.example',
      'ftp://issuer.example',
      'https://user:password@issuer.example',
      'https://issuer.example/any?path=',
      'https://issuer.example/any#',
      'file:///etc/passwd',
      'issuer.example',
    ])
      await expect(register(url), url).rejects.toThrow();
  });
});
