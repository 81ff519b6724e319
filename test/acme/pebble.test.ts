/**
 * Proves against a real ACME server that certificates are issued by http-01 and by dns-01, whatever step the server that
 * orders them is stopped at, and that what the authority refuses ends the order with its reason.
 */
import { createPublicKey, X509Certificate } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openAccountKey, readAccount } from '../../src/acme/account-key.ts';
import { createDnsUpdater } from '../../src/acme/dns/update.ts';
import { createHttp01Handler } from '../../src/acme/http01.ts';
import { openHttp } from '../../src/acme/https.ts';
import { createAcmeProvider } from '../../src/acme/provider.ts';
import { openSession } from '../../src/acme/session.ts';
import { type ChallengeSolver, dns01Solver, http01Solver } from '../../src/acme/solvers.ts';
import { type Listener, listenHttp } from '../../src/api/listener.ts';
import { systemClock } from '../../src/core/clock.ts';
import { silentLog } from '../../src/core/log.ts';
import { SecretBytes } from '../../src/core/secret-bytes.ts';
import { systemRandom } from '../../src/crypto/random.ts';
import type { OrderStep } from '../../src/domain/certificates/issuer-provider.ts';
import {
  contentFor,
  finish,
  type KeptOrder,
  memoryBoard,
  newOrder,
  orderOf,
  phaseOf,
  requestFor,
  step,
} from '../support/acme-orders.ts';
import { type DnsServer, startDnsServer } from '../support/dns-server.ts';
import { optional } from '../support/optional.ts';
import { hasPebble, type Pebble, startPebble } from '../support/pebble.ts';

const isHere = optional('ACME against Pebble', hasPebble);
const zone = 'example.com';
const key = { name: 'acme.key', digest: 'sha256', secret: Buffer.alloc(32, 7) } as const;
const externalKey = Buffer.alloc(32, 9).toString('base64url');

describe.skipIf(!isHere)('an ACME authority', () => {
  const board = memoryBoard();
  let responder: Listener;
  let dns: DnsServer;
  let pebble: Pebble;
  let strict: Pebble;

  beforeAll(async () => {
    const handler = createHttp01Handler({ board, clock: systemClock, log: silentLog });
    responder = await listenHttp(handler, () => undefined, { addresses: ['127.0.0.1'], port: 0 });
    dns = await startDnsServer({ zone, key });
    const ports = { httpPort: responder.port, dnsPort: dns.port };
    [pebble, strict] = await Promise.all([
      startPebble(ports),
      startPebble({ ...ports, externalKeys: { 'kid-1': externalKey } }),
    ]);
  });
  afterAll(async () => {
    await Promise.all([pebble?.stop(), strict?.stop()]);
    await responder?.close(systemClock, 0);
    await dns?.close();
  });
  afterEach(() => {
    board.answers.clear();
    dns.records.clear();
    dns.updates.length = 0;
  });

  const byHttp = () => http01Solver(systemClock, board);
  const byDns = () =>
    dns01Solver(
      createDnsUpdater(
        { clock: systemClock, random: systemRandom },
        {
          server: { host: '127.0.0.1', port: dns.port },
          key: { name: key.name, algorithm: 'hmac-sha256', secret: new SecretBytes(key.secret) },
        },
      ),
      0,
    );
  const provider = (solver: ChallengeSolver = byHttp(), at = pebble) =>
    createAcmeProvider(
      { clock: systemClock, log: silentLog, solver },
      { name: 'authority', url: at.directory, ca: at.ca },
    );
  const anew = (solver?: () => ChallengeSolver, at?: Pebble) => () => provider(solver?.(), at);

  async function assertIssued(made: OrderStep, order: KeptOrder, at = pebble): Promise<X509Certificate> {
    if (made.kind !== 'issued') throw new Error(JSON.stringify(made));
    const chain = made.chain.map((der) => new X509Certificate(der));
    const [leaf] = chain;
    if (leaf === undefined) throw new Error('no certificate');
    const root = new X509Certificate(await at.root());
    const last = chain.at(-1);
    expect(chain.length).toBeGreaterThan(1);
    expect(last?.verify(root.publicKey)).toBe(true);
    const x509 = await import('@peculiar/x509');
    const asked = new x509.Pkcs10CertificateRequest(Buffer.from(order.request));
    const spki = { key: Buffer.from(asked.publicKey.rawData), format: 'der', type: 'spki' } as const;
    expect(leaf.publicKey.equals(createPublicKey(spki))).toBe(true);
    return leaf;
  }

  it('issues by http-01 for names and addresses, with a new server at every step, each of which is done twice', async () => {
    const content = contentFor(
      { dnsNames: ['www.example.com', 'example.com'], ipAddresses: ['127.0.0.1'] },
      'CN=www.example.com',
    );
    const order = await newOrder(content);
    const phases = new Set<string | undefined>();
    let made: OrderStep;
    do {
      phases.add(phaseOf(order));
      // As after a crash before anything of it was written down.
      await provider().advance(orderOf(order));
      made = await step(provider(), order);
    } while (made.kind === 'waiting');
    expect([...phases]).toEqual([undefined, 'read', 'put', 'respond', 'issue']);
    const leaf = await assertIssued(made, order);
    for (const name of ['www.example.com', 'example.com']) {
      expect(leaf.checkHost(name)).toBe(name);
    }
    expect(leaf.checkIP('127.0.0.1')).toBe('127.0.0.1');
    expect(board.answers.size).toBe(0);
  });

  it('issues by dns-01 for a name and its wildcard, and takes away its own records only', async () => {
    const other = `_acme-challenge.${zone}`;
    dns.records.set(other, new Set(['another order']));
    const order = await newOrder(contentFor({ dnsNames: ['example.com', '*.example.com'] }));
    const made = await finish(anew(byDns), order);
    const leaf = await assertIssued(made, order);
    expect(leaf.subjectAltName?.split(', ').sort()).toEqual(['DNS:*.example.com', 'DNS:example.com']);
    expect(dns.updates.filter((update) => update.startsWith('add'))).toHaveLength(2);
    expect([...(dns.records.get(other) ?? [])]).toEqual(['another order']);
  });

  it('uses one account for all orders of an issuer, and orders again under it', async () => {
    const first = await newOrder(contentFor({ dnsNames: ['one.example.com'] }));
    await assertIssued(await finish(anew(), first), first);
    const second = await newOrder(contentFor({ dnsNames: ['one.example.com'] }), first.issuer);
    await assertIssued(await finish(anew(), second), second);
    expect(second.issuer.kept).toBe(first.issuer.kept);
  });

  it('is bound to the customer that the credentials are of, or refused', async () => {
    const content = contentFor({ dnsNames: ['eab.example.com'] });
    const password = (text: string) => SecretBytes.fromText(text);
    const good = await newOrder(content, { accountId: 'kid-1', password: password(externalKey) });
    await assertIssued(await finish(anew(byHttp, strict), good), good, strict);

    const refusal = async (issuer: Parameters<typeof newOrder>[1]) =>
      finish(anew(byHttp, strict), await newOrder(content, issuer));
    const wrong = Buffer.alloc(32, 1).toString('base64url');
    expect(await refusal({ accountId: 'kid-1', password: password(wrong) })).toMatchObject({
      kind: 'failed',
      code: 'unauthorized',
    });
    expect(await refusal({ accountId: 'kid-2', password: password(wrong) })).toMatchObject({
      kind: 'failed',
      code: 'unauthorized',
    });
    const none = { kind: 'failed', code: 'externalAccountRequired' };
    expect(await refusal({})).toMatchObject(none);
    expect(await refusal({ accountId: 'kid-1' })).toMatchObject(none);
    expect(await refusal({ password: password(externalKey) })).toMatchObject(none);
    expect(await refusal({ accountId: 'kid-1', password: password('not base64!') })).toMatchObject(none);
  });

  it('registers again when the credentials change', async () => {
    const order = await newOrder(contentFor({ dnsNames: ['again.example.com'] }));
    await assertIssued(await finish(anew(), order), order);
    const before = readAccount(order.issuer.kept);
    const password = SecretBytes.fromText(externalKey);
    const moved = await newOrder(order.content, { ...order.issuer, accountId: 'kid-1', password });
    await assertIssued(await finish(anew(byHttp, strict), moved), moved, strict);
    const after = readAccount(moved.issuer.kept);
    expect(after?.jwk).not.toEqual(before?.jwk);
    expect(after?.directory).toBe(strict.directory);
  });

  it('says why a name could not be proven, and leaves nothing up', async () => {
    const order = await newOrder(contentFor({ dnsNames: ['fails.example.com'] }));
    while (phaseOf(order) !== 'respond') await step(provider(), order);
    // Somebody else's answer is where ours was.
    for (const token of board.answers.keys()) board.answers.set(token, `${token}.another`);
    const made = await finish(anew(), order);
    expect(made).toMatchObject({ kind: 'failed', code: 'unauthorized' });
    expect(made.kind === 'failed' && made.message).toMatch(/^fails\.example\.com: .*key authorization/i);
    await provider().abandon?.(orderOf(order));
    expect(board.answers.size).toBe(0);
  });

  it('has records of DNS taken away when the order is abandoned', async () => {
    const order = await newOrder(contentFor({ dnsNames: ['fails.example.com'] }));
    while (phaseOf(order) !== 'respond') await step(provider(byDns()), order);
    expect(dns.records.get('_acme-challenge.fails.example.com')?.size).toBe(1);
    await provider(byDns()).abandon?.(orderOf(order));
    expect(dns.records.get('_acme-challenge.fails.example.com')?.size).toBe(0);
  });

  it('ends an order whose account was deactivated', async () => {
    const order = await newOrder(contentFor({ dnsNames: ['gone.example.com'] }));
    while (phaseOf(order) !== 'issue') await step(provider(), order);
    await deactivateAccount(order);
    expect(await step(provider(), order)).toMatchObject({ kind: 'failed', code: 'unauthorized' });
    const next = await newOrder(order.content, order.issuer);
    expect(await finish(anew(), next)).toMatchObject({ kind: 'failed', code: 'unauthorized' });
  });

  async function deactivateAccount({ issuer }: KeptOrder): Promise<void> {
    const account = readAccount(issuer.kept);
    if (account?.url === undefined) throw new Error('there is no account');
    const http = openHttp(systemClock, { ca: pebble.ca });
    try {
      const signer = await openAccountKey(account.jwk);
      const session = await openSession(
        { clock: systemClock, http, signer },
        { name: 'authority', url: pebble.directory },
      );
      await session.post(account.url, { payload: { status: 'deactivated' }, kid: account.url });
    } finally {
      http.close();
    }
  }

  it('registers again at an authority that has forgotten everything, and orders anew', async () => {
    const order = await newOrder(contentFor({ dnsNames: ['forgotten.example.com'] }));
    while (phaseOf(order) !== 'respond') await step(provider(), order);
    const account = readAccount(order.issuer.kept);
    if (account === undefined) throw new Error('there is no account');
    // The same authority, where the account is another's: as one that was started anew at the same address.
    const forged = { ...account, url: account.url?.replace(/[^/]+$/, 'unknown') };
    order.issuer = { ...order.issuer, kept: SecretBytes.fromText(JSON.stringify(forged)) };
    order.state = undefined;
    const made = await finish(anew(), order);
    await assertIssued(made, order);
    expect(readAccount(order.issuer.kept)).toEqual(account);
  });

  it('refuses a request for other names than the order’s', async () => {
    const order = await newOrder(contentFor({ dnsNames: ['a.example.com'] }));
    const { request } = await requestFor(contentFor({ dnsNames: ['b.example.com'] }));
    expect(await finish(anew(), { ...order, request })).toMatchObject({
      kind: 'failed',
      code: 'unauthorized',
    });
  });

  it('is done with 25 names, ten at a time', async () => {
    const dnsNames = Array.from({ length: 25 }, (_, n) => `n${n}.example.com`);
    const order = await newOrder(contentFor({ dnsNames }));
    await assertIssued(await finish(anew(), order), order);
    expect(board.answers.size).toBe(0);
  });
});
