/**
 * Proves that no answer of an authority, however wrong or malicious, has this server ask others in its name, wait or read
 * without end, publish what was not asked for, or take a certificate that is not the one it ordered.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { readAccount } from '../../src/acme/account-key.ts';
import { usualLimits } from '../../src/acme/https.ts';
import { createAcmeProvider } from '../../src/acme/provider.ts';
import type { Directory } from '../../src/acme/session.ts';
import { type ChallengeSolver, dns01Solver, http01Solver } from '../../src/acme/solvers.ts';
import type { Clock } from '../../src/core/clock.ts';
import { silentLog } from '../../src/core/log.ts';
import { SecretBytes } from '../../src/core/secret-bytes.ts';
import type { CertificateContent } from '../../src/crypto/x509/certificate-content.ts';
import { OrderPostponed } from '../../src/domain/certificates/issuer-provider.ts';
import {
  contentFor,
  finish,
  type KeptOrder,
  keepStep,
  memoryBoard,
  newOrder,
  orderOf,
  phaseOf,
  requestFor,
  step,
} from '../support/acme-orders.ts';
import { type FakeAcme, type FakeReply, fakeToken, issueChain, startFakeAcme } from '../support/fake-acme.ts';
import { manualClock } from '../support/identity.ts';
import { localTlsIdentity } from '../support/pebble.ts';

let fake: FakeAcme;
let elsewhere: FakeAcme;
let issueWell: FakeAcme['issue'];
const board = memoryBoard();

beforeAll(async () => {
  [fake, elsewhere] = await Promise.all([startFakeAcme(), startFakeAcme()]);
  issueWell = fake.issue;
});
afterAll(() => Promise.all([fake.close(), elsewhere.close()]));
afterEach(() => {
  // Whatever a test had the authority say: nobody else was asked.
  expect(elsewhere.seen).toEqual([]);
  fake.override = undefined;
  fake.issue = issueWell;
  fake.seen.length = 0;
  board.answers.clear();
});

/** By the machine's date, so that what the authority issues is valid; its timers are in the test's hands. */
const clockNow = () => manualClock(Date.now());

function provider(clock: Clock = clockNow(), more: Partial<Directory> = {}) {
  return createAcmeProvider(
    { clock, log: silentLog, solver: http01Solver(clock, board) },
    { name: 'fake', url: fake.directory, ca: fake.ca, ...more },
  );
}

const wanted = () => newOrder(contentFor({ dnsNames: ['www.example.com'] }));

/** Goes on until the phase has begun, with an authority that behaves. */
async function orderIn(phase: string): Promise<KeptOrder> {
  const order = await wanted();
  while (phaseOf(order) !== phase) await step(provider(), order);
  return order;
}

/** The authority answers this to requests whose path begins so. */
function answering(path: string, reply: FakeReply): void {
  fake.override = (request) => (request.path.startsWith(path) ? reply : undefined);
}

async function postponement(order: KeptOrder, by = provider()): Promise<OrderPostponed> {
  const error: unknown = await finish(() => by, order).catch((thrown: unknown) => thrown);
  if (!(error instanceof OrderPostponed)) throw new Error(`not postponed: ${JSON.stringify(error)}`);
  return error;
}

it('issues when the authority behaves: what the other tests break', async () => {
  const order = await wanted();
  expect(await finish(() => provider(), order)).toMatchObject({ kind: 'issued' });
});

describe('what passes', () => {
  const problem = (type: string, more: object = {}) => ({
    type: `urn:ietf:params:acme:error:${type}`,
    detail: 'because',
    ...more,
  });
  const cases: [string, FakeReply, object][] = [
    [
      'a rate limit with seconds',
      { status: 429, headers: { 'retry-after': '120' }, body: problem('rateLimited') },
      { code: 'rateLimited', message: 'because', seconds: 120 },
    ],
    [
      'a rate limit that says never',
      { status: 429, headers: { 'retry-after': '9999999999' }, body: problem('rateLimited') },
      { code: 'rateLimited', seconds: 7 * 24 * 3600 },
    ],
    [
      'a rate limit with nonsense',
      { status: 429, headers: { 'retry-after': 'soon' }, body: 'slow down' },
      { code: 'rateLimited', seconds: undefined },
    ],
    [
      'a rate limit under status 403',
      { status: 403, headers: { 'retry-after': '0' }, body: problem('rateLimited') },
      { code: 'rateLimited', seconds: 1 },
    ],
    ['an inner error', { status: 500, body: problem('serverInternal') }, { code: 'serverInternal' }],
    [
      'a proxy’s error page',
      { status: 502, body: '<html>' },
      { code: 'serverInternal', message: 'Status 502.' },
    ],
    ['nonces that are never good', { status: 400, body: problem('badNonce') }, { code: 'badNonce' }],
  ];
  it.each(cases)('%s postpones the order', async (_name, reply, expected) => {
    const order = await orderIn('issue');
    answering('/order/', reply);
    const before = order.state;
    expect(await postponement(order)).toMatchObject(expected);
    expect(order.state).toBe(before);
    fake.override = undefined;
    expect(await finish(() => provider(), order)).toMatchObject({ kind: 'issued' });
  });

  it('takes a date for when to come again', async () => {
    const clock = clockNow();
    const order = await orderIn('issue');
    const at = new Date(clock.now() + 90_000).toUTCString();
    answering('/order/', { status: 429, headers: { 'retry-after': at }, body: problem('rateLimited') });
    const { seconds } = await postponement(order, provider(clock));
    expect(seconds).toBeGreaterThanOrEqual(89);
    expect(seconds).toBeLessThanOrEqual(90);
  });

  it('asks five times with new nonces, and no more', async () => {
    const order = await orderIn('issue');
    fake.seen.length = 0;
    answering('/order/', { status: 400, body: problem('badNonce') });
    await postponement(order);
    expect(fake.seen.filter((seen) => seen === 'POST /order/1')).toHaveLength(5);
  });

  it('goes on with the fifth nonce when four were refused', async () => {
    const order = await orderIn('issue');
    fake.seen.length = 0;
    const asked = () => fake.seen.filter((seen) => seen === 'POST /order/1').length;
    fake.override = ({ path }) =>
      path === '/order/1' && asked() < 5 ? { status: 400, body: problem('badNonce') } : undefined;
    expect(await step(provider(), order)).toMatchObject({ kind: 'waiting' });
    expect(asked()).toBe(5);
  });

  it('an order that is being processed is looked at when the authority says, and ever less often else', async () => {
    const order = await orderIn('issue');
    const body = { status: 'processing', authorizations: [], finalize: `${fake.origin}/finalize` };
    answering('/order/', { body });
    const pauses: number[] = [];
    for (let n = 0; n < 9; n += 1) {
      const made = await step(provider(), order);
      if (made.kind === 'waiting') pauses.push(made.seconds);
    }
    expect(pauses).toEqual([5, 10, 20, 40, 80, 160, 300, 300, 300]);
    for (const [asked, given] of [
      ['7', 7],
      ['0', 1],
      ['999999', 3600],
    ] as const) {
      answering('/order/', { headers: { 'retry-after': asked }, body });
      expect(await step(provider(), order)).toMatchObject({ kind: 'waiting', seconds: given });
    }
  });

  it('an order that is never done ends', async () => {
    const clock = clockNow();
    const order = await orderIn('issue');
    answering('/order/', {
      body: { status: 'processing', authorizations: [], finalize: `${fake.origin}/finalize` },
    });
    clock.advance(30 * 24 * 3600 * 1000);
    expect(await step(provider(clock), order)).toMatchObject({ kind: 'waiting' });
    clock.advance(60_000);
    expect(await step(provider(clock), order)).toMatchObject({ kind: 'failed', code: 'orderExpired' });
  });
});

describe('what is refused for good', () => {
  it.each(['rejectedIdentifier', 'badCSR', 'caa', 'unauthorized', 'userActionRequired'])(
    '%s',
    async (type) => {
      const order = await orderIn('issue');
      const detail = `no\u0000\u202e\r\n${'x'.repeat(5000)}`;
      answering('/finalize', { status: 403, body: { type: `urn:ietf:params:acme:error:${type}`, detail } });
      const made = await finish(() => provider(), order);
      expect(made).toMatchObject({ kind: 'failed', code: type });
      const message = made.kind === 'failed' ? made.message : '';
      expect(message).toMatch(/^no x+…$/);
      expect(message).toHaveLength(1000);
    },
  );

  it('problems in problems are quoted, the first types first', async () => {
    const order = await wanted();
    const inner = (value: string, detail: string) => ({
      type: 'urn:ietf:params:acme:error:caa',
      detail,
      identifier: { type: 'dns', value },
    });
    answering('/new-order', {
      status: 403,
      body: {
        type: 'urn:ietf:params:acme:error:compound',
        detail: 'Some are refused.',
        subproblems: [inner('a.example', 'first'), inner('b.example', 'second')],
      },
    });
    expect(await finish(() => provider(), order)).toEqual({
      kind: 'failed',
      code: 'caa',
      message: 'Some are refused. a.example: first b.example: second',
    });
  });

  it.each([
    ['text', 'nothing of use'],
    ['an array', []],
    ['members of other types', { type: 5, detail: { a: 1 }, subproblems: 'x' }],
    ['a type that is no word', { type: 'urn:ietf:params:acme:error:<script>', detail: '' }],
  ])('%s for a problem', async (_name, body) => {
    answering('/new-order', { status: 400, body });
    expect(await finish(() => provider(), await wanted())).toEqual({
      kind: 'failed',
      code: 'refused',
      message: 'Status 400.',
    });
  });

  it('an account that is forgotten again and again', async () => {
    answering('/new-order', {
      status: 400,
      body: { type: 'urn:ietf:params:acme:error:accountDoesNotExist' },
    });
    const made = await finish(() => provider(), await wanted());
    expect(made).toMatchObject({ kind: 'failed', code: 'accountDoesNotExist' });
    expect(fake.seen.filter((seen) => seen === 'POST /new-account')).toHaveLength(2);
  });

  it('an authority that offers no challenge of our type', async () => {
    const identifier = { type: 'dns', value: 'www.example.com' };
    answering('/authz/', { body: { status: 'pending', identifier, challenges: [{ type: 'tls-alpn-01' }] } });
    expect(await finish(() => provider(), await wanted())).toMatchObject({
      kind: 'failed',
      code: 'unauthorized',
      message: expect.stringContaining('http-01'),
    });
  });
});

describe('a name whose host was not reached', () => {
  const fault = (type: string) => ({
    type: `urn:ietf:params:acme:error:${type}`,
    detail: 'Fetching it: Connection refused',
  });
  /** The authority has looked, and says so of the orders that it has then. */
  function failing(type: string): void {
    const challenge = { type: 'http-01', url: `${fake.origin}/chall`, token: fakeToken, status: 'invalid' };
    const bodies: Record<string, object> = {
      '/authz/0': {
        status: 'invalid',
        identifier: { type: 'dns', value: 'www.example.com' },
        challenges: [{ ...challenge, error: fault(type) }],
      },
      '/order/1': {
        status: 'invalid',
        authorizations: [`${fake.origin}/authz/0`],
        finalize: `${fake.origin}/finalize`,
      },
    };
    fake.override = ({ path }) => {
      const body = bodies[path];
      return body === undefined ? undefined : { body };
    };
  }
  const orders = () => fake.seen.filter((seen) => seen === 'POST /new-order').length;

  it.each(['connection', 'dns'])(
    '(%s) is ordered once more, after a minute, and issued then',
    async (type) => {
      const order = await orderIn('issue');
      const { state } = order;
      failing(type);
      const why = { code: type, message: 'www.example.com: Fetching it: Connection refused' };
      expect(await step(provider(), order)).toMatchObject({ kind: 'waiting', seconds: 60, why });
      // What the first order had put up is of no use to the next.
      expect(board.answers.size).toBe(0);
      expect(order.state).not.toBe(state);
      fake.override = undefined;
      expect(await finish(() => provider(), order)).toMatchObject({ kind: 'issued' });
      expect(orders()).toBe(2);
    },
  );

  it('fails when it is not reached again, whoever goes on with it', async () => {
    const order = await orderIn('issue');
    failing('connection');
    expect(await step(provider(), order)).toMatchObject({ kind: 'waiting', seconds: 60 });
    fake.override = undefined;
    while (phaseOf(order) !== 'issue') await step(provider(), order);
    failing('connection');
    expect(await finish(() => provider(), order)).toMatchObject({ kind: 'failed', code: 'connection' });
    expect(orders()).toBe(2);
  });

  it('is not forgotten where the account is another by then', async () => {
    const order = await orderIn('issue');
    failing('connection');
    await step(provider(), order);
    fake.override = undefined;
    while (phaseOf(order) !== 'issue') await step(provider(), order);
    order.state = order.state?.replace('/acct/1', '/acct/0');
    while (phaseOf(order) !== 'issue' || order.state?.includes('/acct/0')) await step(provider(), order);
    failing('connection');
    expect(await step(provider(), order)).toMatchObject({ kind: 'failed', code: 'connection' });
  });

  it('fails at once where it was reached, and has not answered as it should', async () => {
    const order = await orderIn('issue');
    failing('unauthorized');
    expect(await step(provider(), order)).toMatchObject({ kind: 'failed', code: 'unauthorized' });
    expect(orders()).toBe(1);
  });
});

describe('links that lead away', () => {
  const away = (path: string) => `${elsewhere.origin}${path}`;
  const links = (): [string, () => Promise<KeptOrder>, () => void][] => {
    const directory = (name: string, url: string) => () =>
      answering('/dir', {
        body: {
          newNonce: `${fake.origin}/new-nonce`,
          newAccount: `${fake.origin}/new-account`,
          newOrder: `${fake.origin}/new-order`,
          [name]: url,
        },
      });
    const order = (more: object) => ({
      status: 'pending',
      authorizations: [`${fake.origin}/authz/0`],
      finalize: `${fake.origin}/finalize`,
      ...more,
    });
    const challenge = { type: 'http-01', url: away('/chall'), token: fakeToken, status: 'pending' };
    return [
      ['newNonce', wanted, directory('newNonce', away('/new-nonce'))],
      ['newNonce over plain HTTP', wanted, directory('newNonce', 'http://127.0.0.1/new-nonce')],
      ['newNonce at this machine’s metadata', wanted, directory('newNonce', 'http://169.254.169.254/latest')],
      ['newNonce in a file', wanted, directory('newNonce', 'file:///etc/passwd')],
      ['newAccount', wanted, directory('newAccount', away('/new-account'))],
      ['newOrder with credentials', wanted, directory('newOrder', fake.origin.replace('//', '//user:pass@'))],
      ['newOrder that is no address', wanted, directory('newOrder', 'https://')],
      ['newOrder that is very long', wanted, directory('newOrder', `${fake.origin}/${'x'.repeat(3000)}`)],
      [
        'the account',
        wanted,
        () => answering('/new-account', { status: 201, headers: { location: away('/acct/1') }, body: {} }),
      ],
      [
        'the order',
        wanted,
        () =>
          answering('/new-order', { status: 201, headers: { location: away('/order/1') }, body: order({}) }),
      ],
      [
        'finalize',
        wanted,
        () =>
          answering('/new-order', {
            status: 201,
            headers: { location: `${fake.origin}/order/1` },
            body: order({ finalize: away('/finalize') }),
          }),
      ],
      [
        'an authorization',
        wanted,
        () =>
          answering('/new-order', {
            status: 201,
            headers: { location: `${fake.origin}/order/1` },
            body: order({ authorizations: [away('/authz/0')] }),
          }),
      ],
      [
        'a challenge',
        () => orderIn('read'),
        () =>
          answering('/authz/', {
            body: {
              status: 'pending',
              identifier: { type: 'dns', value: 'www.example.com' },
              challenges: [challenge],
            },
          }),
      ],
      [
        'the certificate',
        () => orderIn('issue'),
        () => answering('/order/', { body: order({ status: 'valid', certificate: away('/cert') }) }),
      ],
    ];
  };

  it('are not followed, wherever they are', async () => {
    for (const [name, begin, lead] of links()) {
      const order = await begin();
      lead();
      expect(await postponement(order), name).toMatchObject({ code: 'unexpectedAnswer' });
      fake.override = undefined;
    }
  });

  it('are followed to origins that the operator named', async () => {
    const order = await wanted();
    answering('/new-order', {
      status: 201,
      headers: { location: `${fake.origin}/order/1` },
      body: { status: 'pending', authorizations: [], finalize: away('/finalize') },
    });
    const by = provider(clockNow(), { origins: [elsewhere.origin] });
    while (phaseOf(order) === undefined) await step(by, order);
    expect(JSON.parse(order.state ?? '')).toMatchObject({ finalize: away('/finalize') });
  });

  it.each([301, 302, 303, 307, 308])('redirects are not followed: %i', async (status) => {
    for (const path of ['/dir', '/new-nonce', '/new-account', '/order/']) {
      const order = path === '/order/' ? await orderIn('issue') : await wanted();
      for (const location of [away('/dir'), `${fake.origin}${path}`]) {
        answering(path, { status, headers: { location } });
        expect(await postponement(order), `${path} to ${location}`).toMatchObject({
          code: 'unexpectedAnswer',
        });
        fake.override = undefined;
      }
    }
  });
});

describe('answers without end', () => {
  it.each(['/dir', '/new-account', '/order/', '/cert'])(
    'one that does not stop is cut off: %s',
    async (path) => {
      const order = path === '/order/' || path === '/cert' ? await orderIn('issue') : await wanted();
      answering(path, { body: 'endless' });
      expect(await postponement(order)).toMatchObject({
        code: 'connection',
        message: `The answer is longer than ${usualLimits.longestBody} bytes.`,
      });
    },
  );

  it('one that does not come is not waited for', async () => {
    const clock = clockNow();
    const order = await orderIn('issue');
    answering('/order/', { body: 'hang' });
    const asked = requestOf('/order/');
    const postponed = postponement(order, provider(clock));
    await asked;
    clock.advance(usualLimits.perRequest);
    expect(await postponed).toMatchObject({ code: 'connection', message: 'There was no answer in time.' });
  });

  it('many that come in time do not add up', async () => {
    const clock = clockNow();
    const order = await orderIn('issue');
    const slow = usualLimits.perRequest - 1;
    fake.override = ({ path }) => {
      clock.advance(slow);
      if (path !== '/order/1') return undefined;
      return { status: 400, body: { type: 'urn:ietf:params:acme:error:badNonce' } };
    };
    // By themselves all would be in time: then the nonces would be the reason.
    expect(await postponement(order, provider(clock))).toMatchObject({ code: 'connection' });
  });

  /** Resolves when the authority has been asked for the path. */
  async function requestOf(path: string): Promise<void> {
    do await fake.nextRequest();
    while (!fake.seen.at(-1)?.includes(path));
  }
});

describe('an authority that wants other things proven', () => {
  it.each([
    ['a name that was not asked for', { type: 'dns', value: 'victim.example.com' }],
    ['a name below', { type: 'dns', value: 'a.www.example.com' }],
    ['an address', { type: 'ip', value: '127.0.0.1' }],
    ['a name of another type', { type: 'email', value: 'www.example.com' }],
  ])('%s', async (_name, identifier) => {
    const challenge = { type: 'http-01', url: `${fake.origin}/chall`, token: fakeToken, status: 'pending' };
    answering('/authz/', { body: { status: 'pending', identifier, challenges: [challenge] } });
    expect(await postponement(await wanted())).toMatchObject({ code: 'unexpectedAnswer' });
    expect(board.answers.size).toBe(0);
  });

  it.each(['', 'short', '../../../etc/passwd-0123456789', `${fakeToken}\r\n`, 'x'.repeat(300)])(
    'a token that is none: %j',
    async (token) => {
      const identifier = { type: 'dns', value: 'www.example.com' };
      const challenge = { type: 'http-01', url: `${fake.origin}/chall`, token, status: 'pending' };
      answering('/authz/', { body: { status: 'pending', identifier, challenges: [challenge] } });
      expect(await postponement(await wanted())).toMatchObject({ code: 'unexpectedAnswer' });
      expect(board.answers.size).toBe(0);
    },
  );

  it('more authorizations than an order can have', async () => {
    const authorizations = Array.from({ length: 201 }, (_, n) => `${fake.origin}/authz/${n}`);
    answering('/new-order', {
      status: 201,
      headers: { location: `${fake.origin}/order/1` },
      body: { status: 'pending', authorizations, finalize: `${fake.origin}/finalize` },
    });
    expect(await postponement(await wanted())).toMatchObject({ code: 'unexpectedAnswer' });
  });
});

describe('a certificate that is not the one ordered', () => {
  const names = ['www.example.com'];
  const cases: [string, RegExp, (request: Uint8Array) => Promise<string>][] = [
    [
      'another key',
      /another key/,
      async () => pemFor((await requestFor(contentFor({ dnsNames: names }))).request),
    ],
    [
      'another name',
      /not for www\.example\.com/,
      (request) => pemFor(request, { names: ['evil.example.com'] }),
    ],
    ['no name', /not for www\.example\.com/, (request) => pemFor(request, { names: [] })],
    ['one that has ended', /expired/, (request) => pemFor(request, { endsIn: -1000 })],
    ['a chain with another signature', /chain is broken/, (request) => pemFor(request, { foreign: true })],
    ['a chain with another name', /chain is broken/, (request) => pemFor(request, { misnamed: true })],
    [
      'the chain upside down',
      /another key/,
      async (request) => (await chainFor(request)).toReversed().join(''),
    ],
    ['a stranger in the chain', /chain is broken/, strangerBehind],
    ['nothing', /no certificate/, async () => ''],
    ['a page', /more than certificates/, async () => '<html></html>'],
    ['a key among them', /more than certificates/, keyAmong],
    ['too many', /more than 10/, async (request) => (await pemFor(request)).repeat(6)],
    ['what is no DER', /cannot be read/, async () => pemOf(Buffer.from('not DER'))],
    ['bytes behind a certificate', /cannot be read/, bytesBehind],
  ];

  it.each(cases)('%s', async (_name, message, issue) => {
    fake.issue = issue;
    const made = await finish(() => provider(), await wanted());
    expect(made).toMatchObject({
      kind: 'failed',
      code: 'badCertificate',
      message: expect.stringMatching(message),
    });
  });

  it('one for a wildcard above the name is good', async () => {
    fake.issue = (request) => pemFor(request, { names: ['*.example.com'] });
    expect(await finish(() => provider(), await wanted())).toMatchObject({ kind: 'issued' });
  });

  const chainFor = (request: Uint8Array, more: object = {}) => issueChain({ request, names, ...more });
  async function pemFor(request: Uint8Array, more: object = {}): Promise<string> {
    return (await chainFor(request, more)).join('');
  }
  async function strangerBehind(request: Uint8Array): Promise<string> {
    const [leaf = ''] = await chainFor(request);
    const [, stranger = ''] = await chainFor(request);
    return leaf + stranger;
  }
  async function keyAmong(request: Uint8Array): Promise<string> {
    const { key } = await localTlsIdentity();
    return (await pemFor(request)) + key;
  }
  async function bytesBehind(request: Uint8Array): Promise<string> {
    const [leaf = ''] = await chainFor(request);
    const der = Buffer.from(leaf.replace(/-----[^-]+-----|\s/g, ''), 'base64');
    return pemOf(Buffer.concat([der, Buffer.from('more')]));
  }
  const pemOf = (der: Buffer) =>
    `-----BEGIN CERTIFICATE-----\n${der.toString('base64')}\n-----END CERTIFICATE-----\n`;
});

describe('what is refused before anybody is asked', () => {
  const dns = dns01Solver({ present: async () => undefined, remove: async () => undefined }, 0);
  const cases: [string, CertificateContent, ChallengeSolver | undefined, RegExp][] = [
    ['a wildcard by http-01', contentFor({ dnsNames: ['*.example.com'] }), undefined, /wildcard .* dns-01/],
    ['an address by dns-01', contentFor({ ipAddresses: ['192.0.2.1'] }), dns, /address .* http-01/],
    ['an authority', { ...contentFor({ dnsNames: ['a.example'] }), ca: true }, undefined, /authorities/],
    ['a title', contentFor({}, 'CN=My Service'), undefined, /no DNS name/],
  ];
  it.each(cases)('%s', async (_name, content, solver, message) => {
    const clock = clockNow();
    const deps = { clock, log: silentLog, solver: solver ?? http01Solver(clock, board) };
    const by = createAcmeProvider(deps, { name: 'fake', url: fake.directory, ca: fake.ca });
    expect(await step(by, { ...(await wanted()), content })).toMatchObject({
      kind: 'failed',
      code: 'unsupportedIdentifier',
      message: expect.stringMatching(message),
    });
    expect(fake.seen).toEqual([]);
  });

  it('an issuer without credentials at an authority that requires them', async () => {
    const urls = Object.fromEntries(
      ['newNonce', 'newAccount', 'newOrder'].map((name) => [name, `${fake.origin}/${name}`]),
    );
    answering('/dir', { body: { ...urls, meta: { externalAccountRequired: true } } });
    expect(await finish(() => provider(), await wanted())).toMatchObject({
      kind: 'failed',
      code: 'externalAccountRequired',
    });
    expect(fake.seen).toEqual(['GET /dir']);
  });
});

describe('an account', () => {
  it('is made for its directory and its credentials, and not used with others', async () => {
    const order = await wanted();
    await finish(() => provider(), order);
    const { kept } = order.issuer;
    const again = await newOrder(order.content, { kept });
    const password = SecretBytes.fromText('p'.repeat(43));
    await step(provider(), again);
    expect(again.issuer.kept).toBe(kept);
    fake.seen.length = 0;
    const bound = await newOrder(order.content, { kept, accountId: 'kid', password });
    await step(provider(), bound);
    const moved = await newOrder(order.content, { kept });
    await step(provider(clockNow(), { url: `${fake.directory}?other` }), moved);
    for (const { issuer } of [bound, moved]) {
      expect(readAccount(issuer.kept)?.jwk).not.toEqual(readAccount(kept)?.jwk);
    }
    const changed = await newOrder(order.content, { ...bound.issuer, accountId: 'another' });
    await step(provider(), changed);
    expect(readAccount(changed.issuer.kept)).toMatchObject({ externalKeyId: 'another' });
    // A key is kept before anybody hears of it.
    expect(fake.seen).toEqual([]);
  });
});

describe('a challenge', () => {
  const shown = (status: string, ofChallenge: string): FakeReply => ({
    body: {
      status,
      identifier: { type: 'dns', value: 'www.example.com' },
      challenges: [{ type: 'http-01', url: `${fake.origin}/chall`, token: fakeToken, status: ofChallenge }],
    },
  });
  it.each([
    ['pending', 'pending', 1],
    ['pending', 'processing', 0],
    ['valid', 'pending', 0],
    ['invalid', 'invalid', 0],
  ])(
    'of an authorization that is %s and itself %s is told to be looked at %i times',
    async (whole, own, times) => {
      const order = await orderIn('respond');
      fake.seen.length = 0;
      answering('/authz/', shown(whole, own));
      await step(provider(), order);
      expect(phaseOf(order)).toBe('issue');
      expect(fake.seen.filter((seen) => seen === 'POST /chall')).toHaveLength(times);
    },
  );
});

describe('who the authority is', () => {
  it('is not asked when its TLS certificate is from somebody else', async () => {
    const { ca } = await localTlsIdentity();
    for (const trust of [{ ca }, { ca: undefined }]) {
      const error = await postponement(await wanted(), provider(clockNow(), trust));
      expect(error).toMatchObject({ code: 'connection', message: expect.stringMatching(/\([A-Z_]+\)/) });
    }
    expect(fake.seen).toEqual([]);
  });

  it('is not there', async () => {
    const gone = await startFakeAcme();
    await gone.close();
    const error = await postponement(
      await wanted(),
      provider(clockNow(), { url: gone.directory, ca: gone.ca }),
    );
    expect(error).toMatchObject({ code: 'connection', message: expect.stringContaining('ECONNREFUSED') });
  });
});

describe('a state that is not of this form', () => {
  it.each(['', 'null', '{}', '[]', '{"v":2}', 'x'])('%j begins the order anew', async (state) => {
    const order = await wanted();
    order.state = state;
    expect(await finish(() => provider(), order)).toMatchObject({ kind: 'issued' });
  });

  it('abandoning it does nothing, and so does abandoning an order that has not begun', async () => {
    const order = await wanted();
    await provider().abandon?.(orderOf(order));
    order.state = 'x';
    await provider().abandon?.(orderOf(order));
    keepStep(order, await provider().advance(orderOf(order)));
    await provider().abandon?.(orderOf(order));
    expect(fake.seen).toEqual([]);
  });
});
