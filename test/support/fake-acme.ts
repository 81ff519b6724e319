/**
 * An ACME authority that does what a test wants of it: it goes through an order as RFC 8555 says, believes every answer,
 * and lets the test answer instead. It verifies nothing; that what it is sent is right, Pebble says.
 */
import { webcrypto } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { localTlsIdentity } from './pebble.ts';

export interface FakeReply {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  /** An object becomes JSON; `hang` is an answer that never comes, `endless` one that never ends. */
  readonly body?: string | object | 'hang' | 'endless';
}

export interface FakeRequest {
  readonly method: string;
  readonly path: string;
  /** Of the JWS; undefined for POST-as-GET and what is no JWS. */
  readonly payload: Record<string, unknown> | undefined;
}

export interface FakeAcme {
  readonly origin: string;
  readonly directory: string;
  readonly ca: string;
  /** `METHOD PATH` of each request, in order. */
  readonly seen: string[];
  /** Answers instead of the authority; undefined for what it would have said. */
  override: ((request: FakeRequest) => FakeReply | undefined) | undefined;
  /** The certificate for the request (PKCS#10, DER); by default one that is right. */
  issue: (request: Uint8Array) => Promise<string>;
  /** Resolves when the next request has come. */
  nextRequest(): Promise<void>;
  close(): Promise<void>;
}

export const fakeToken = 'a-token-of-the-fake-authority-0123456789';

export async function startFakeAcme(names: readonly string[] = ['www.example.com']): Promise<FakeAcme> {
  const tls = await localTlsIdentity();
  const waiting: (() => void)[] = [];
  const sockets = new Set<Socket>();
  let state = { answered: false, request: undefined as Uint8Array | undefined };
  const server: Server = createServer({ cert: tls.chain, key: tls.key }, (request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', async () => {
      const path = request.url ?? '';
      const asked = { method: request.method ?? '', path, payload: payloadOf(Buffer.concat(parts)) };
      fake.seen.push(`${asked.method} ${path}`);
      const { status = 200, headers = {}, body = '' } = fake.override?.(asked) ?? (await usual(asked));
      for (const heard of waiting.splice(0)) heard();
      if (body === 'hang') return;
      response.writeHead(status, { 'replay-nonce': `nonce-${fake.seen.length}`, ...headers } as never);
      if (body === 'endless') writeForEver(response);
      else response.end(typeof body === 'string' ? body : JSON.stringify(body));
    });
  });
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;

  const order = () => ({
    status: state.request !== undefined ? 'valid' : state.answered ? 'ready' : 'pending',
    authorizations: names.map((_, n) => `${origin}/authz/${n}`),
    finalize: `${origin}/finalize`,
    ...(state.request === undefined ? {} : { certificate: `${origin}/cert` }),
  });
  const authorization = (value: string) => {
    const status = state.answered ? 'valid' : 'pending';
    const challenge = { type: 'http-01', url: `${origin}/chall`, token: fakeToken, status };
    return { status, identifier: { type: 'dns', value }, challenges: [challenge] };
  };
  async function usual({ path, payload }: FakeRequest): Promise<FakeReply> {
    if (path === '/dir') {
      const [newNonce, newAccount, newOrder] = ['nonce', 'account', 'order'].map(
        (name) => `${origin}/new-${name}`,
      );
      return { body: { newNonce, newAccount, newOrder } };
    }
    if (path === '/new-account') return { status: 201, headers: { location: `${origin}/acct/1` }, body: {} };
    if (path === '/new-order') {
      state = { answered: false, request: undefined };
      return { status: 201, headers: { location: `${origin}/order/1` }, body: order() };
    }
    if (path.startsWith('/authz/')) return { body: authorization(names[Number(path.slice(7))] ?? '') };
    if (path === '/chall') state.answered = true;
    if (path === '/finalize') state.request = Buffer.from(String(payload?.csr), 'base64url');
    if (path === '/cert') return { body: await fake.issue(state.request ?? new Uint8Array()) };
    return { body: order() };
  }

  const fake: FakeAcme = {
    origin,
    directory: `${origin}/dir`,
    ca: tls.ca,
    seen: [],
    override: undefined,
    issue: async (request) => (await issueChain({ request, names })).join(''),
    nextRequest: () => new Promise((resolve) => waiting.push(resolve)),
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return fake;
}

function writeForEver(response: ServerResponse): void {
  if (!response.destroyed) response.write('x'.repeat(16_384), () => writeForEver(response));
}

function payloadOf(body: Buffer): Record<string, unknown> | undefined {
  try {
    const { payload } = JSON.parse(body.toString()) as { payload: string };
    return JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

export interface ChainInput {
  readonly request: Uint8Array;
  readonly names: readonly string[];
  /** Milliseconds from now. */
  readonly endsIn?: number;
  /** The leaf is signed by another key than the issuer's of the same name. */
  readonly foreign?: boolean;
  /** The leaf names another issuer than the one that signed it. */
  readonly misnamed?: boolean;
}

/** A leaf for the request's key and its issuer, in PEM. */
export async function issueChain({
  request,
  names,
  endsIn = 86_400_000,
  foreign = false,
  misnamed = false,
}: ChainInput): Promise<string[]> {
  await import('reflect-metadata');
  const x509 = await import('@peculiar/x509');
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const newKeys = () => webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const [keys, others] = [await newKeys(), await newKeys()];
  const times = { notBefore: new Date(Date.now() - 3_600_000), notAfter: new Date(Date.now() + endsIn) };
  const common = { signingAlgorithm: algorithm, ...times };
  const issuer = await x509.X509CertificateGenerator.createSelfSigned(
    { ...common, name: 'CN=Fake', keys, serialNumber: '01', notAfter: new Date(Date.now() + 1e9) },
    webcrypto,
  );
  const leaf = await x509.X509CertificateGenerator.create(
    {
      ...common,
      serialNumber: '02',
      subject: 'CN=leaf',
      issuer: misnamed ? 'CN=Another' : 'CN=Fake',
      publicKey: new x509.Pkcs10CertificateRequest(new Uint8Array(request)).publicKey,
      signingKey: (foreign ? others : keys).privateKey,
      extensions: [
        new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: 'dns' as const, value }))),
      ],
    },
    webcrypto,
  );
  return [leaf, issuer].map((certificate) => `${certificate.toString('pem')}\n`);
}
