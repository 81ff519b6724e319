import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turnOfEventLoop } from 'node:timers/promises';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { manualClock } from '../../test/support/identity.ts';
import { systemClock } from '../core/clock.ts';
import { createAuthority, issueLeaf } from '../crypto/x509/authority.ts';
import { NotDelivered } from '../domain/certificates/notices.ts';
import { createSmtpMailer, type SmtpDeps, type SmtpSettings } from './smtp.ts';

/** TLS judges validity by the machine's clock. */
const now = Math.floor(performance.timeOrigin);
const password = 'correct horse battery staple';
const letter = {
  to: ['ops@example.com'],
  subject: 'Certificate web expires on 2027-01-31',
  text: 'First line.\n.\n..dots at the start of lines\nLast line, with an ö.\n',
  id: '<expiry.web.0123@contoso.vault.example.com>',
};

let folder: string;
let ca: string;
let otherCa: string;
let passwordFile: string;
let tls: { key: string; cert: string };
const open: (() => Promise<void>)[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'strongroom-mail-'));
  const names = { permittedDnsNames: ['localhost'], permittedIpRanges: ['127.0.0.0/8'] };
  const authority = await createAuthority({ commonName: 'Mail test', ...names, now, validityDays: 2 });
  const other = await createAuthority({ commonName: 'Another', ...names, now, validityDays: 2 });
  const leaf = await issueLeaf(authority, {
    dnsNames: ['localhost'],
    ipAddresses: ['127.0.0.1'],
    now,
    validityDays: 1,
  });
  tls = { key: leaf.privateKeyPem.exposeText(), cert: leaf.chainPem };
  [ca, otherCa, passwordFile] = [join(folder, 'ca.pem'), join(folder, 'other.pem'), join(folder, 'password')];
  await writeFile(ca, authority.certificatePem);
  await writeFile(otherCa, other.certificatePem);
  await writeFile(passwordFile, `${password}\n`);
});

afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

afterAll(() => rm(folder, { recursive: true, force: true }));

interface Taken {
  readonly from: string;
  readonly to: readonly string[];
  readonly message: string;
  readonly secure: boolean;
  readonly user: string | undefined;
}

interface Sink {
  readonly port: number;
  readonly taken: Taken[];
  readonly logins: string[];
}

/** A relay that keeps what it takes. */
async function startSink(options: SMTPServerOptions = {}): Promise<Sink> {
  const taken: Taken[] = [];
  const logins: string[] = [];
  const server = new SMTPServer({
    ...tls,
    authOptional: true,
    disableReverseLookup: true,
    closeTimeout: 1,
    onAuth(auth, _session, done) {
      logins.push(`${auth.username}:${auth.password}`);
      if (auth.username === 'strongroom' && auth.password === password) done(null, { user: auth.username });
      else done(reply(535, `no such login: ${auth.password}`));
    },
    onData(stream, session, done) {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        const { mailFrom, rcptTo } = session.envelope;
        taken.push({
          from: mailFrom === false ? '' : mailFrom.address,
          to: rcptTo.map(({ address }) => address),
          message: Buffer.concat(chunks).toString(),
          secure: session.secure,
          user: session.user || undefined,
        });
        done();
      });
    },
    ...options,
  });
  // A client that leaves while TLS begins is an error to it.
  server.on('error', () => undefined);
  await new Promise<void>((done) => void server.listen(0, '127.0.0.1', done));
  open.push(() => new Promise((done) => server.close(done)));
  return { port: (server.server.address() as AddressInfo).port, taken, logins };
}

/** A relay that says what it is told to, line by line. */
async function startScript(serve: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    serve(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  open.push(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  });
  return (server.address() as AddressInfo).port;
}

function reply(responseCode: number, message: string): Error {
  return Object.assign(new Error(message), { responseCode });
}

function mailerFor(port: number, settings: Partial<SmtpSettings> = {}, deps: Partial<SmtpDeps> = {}) {
  return createSmtpMailer(
    {
      host: 'localhost',
      port,
      secure: 'starttls',
      ca,
      user: undefined,
      passwordFile: undefined,
      from: 'vault@example.org',
      ...settings,
    },
    { clock: systemClock, timeout: 30_000, ...deps },
  );
}

async function failureOf(sending: Promise<void>): Promise<NotDelivered> {
  const error = await sending.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof NotDelivered)) throw new Error('it was delivered', { cause: error });
  return error;
}

test('a letter arrives whole over STARTTLS, with its id and date', async () => {
  const sink = await startSink();
  const clock = { ...systemClock, now: () => Date.UTC(2027, 0, 2, 3, 4, 5) };
  await mailerFor(sink.port, {}, { clock }).send({
    ...letter,
    to: ['ops@example.com', 'sec@example.net', 'ops@example.com'],
  });
  const [taken, ...more] = sink.taken;
  expect(more).toEqual([]);
  expect(taken).toMatchObject({
    from: 'vault@example.org',
    to: ['ops@example.com', 'sec@example.net'],
    secure: true,
    user: undefined,
  });
  const [head = '', body = ''] = taken?.message.split('\r\n\r\n') ?? [];
  const headers = head.replaceAll(/\r\n[ \t]+/g, ' ').split('\r\n');
  expect(headers).toEqual(
    expect.arrayContaining([
      'From: Strongroom <vault@example.org>',
      'To: ops@example.com, sec@example.net',
      'Subject: Certificate web expires on 2027-01-31',
      'Message-ID: <expiry.web.0123@contoso.vault.example.com>',
      'Date: Sat, 02 Jan 2027 03:04:05 +0000',
      'Auto-Submitted: auto-generated',
    ]),
  );
  expect(body).toBe('First line.\r\n.\r\n..dots at the start of lines\r\nLast line, with an =C3=B6.\r\n');
});

test('TLS from the first octet, with a login', async () => {
  const sink = await startSink({ secure: true });
  await mailerFor(sink.port, { secure: 'tls', user: 'strongroom', passwordFile }).send(letter);
  expect(sink.taken).toMatchObject([{ secure: true, user: 'strongroom' }]);
  expect(sink.logins).toEqual([`strongroom:${password}`]);
});

test('a login over STARTTLS, by the password that the file holds at that time', async () => {
  const sink = await startSink();
  const file = join(folder, 'rotated');
  await writeFile(file, 'old\n');
  const mailer = mailerFor(sink.port, { user: 'strongroom', passwordFile: file });
  await failureOf(mailer.send(letter));
  await writeFile(file, password);
  await mailer.send(letter);
  expect(sink.logins).toEqual(['strongroom:old', `strongroom:${password}`]);
  expect(sink.taken).toHaveLength(1);
});

test('without TLS only where that is asked for', async () => {
  const sink = await startSink({ disabledCommands: ['STARTTLS', 'AUTH'] });
  await mailerFor(sink.port, { secure: 'none' }).send(letter);
  expect(sink.taken).toMatchObject([{ secure: false }]);
});

test('a relay without STARTTLS gets nothing where it is required, not even the login', async () => {
  const sink = await startSink({ disabledCommands: ['STARTTLS'], allowInsecureAuth: true });
  const failure = await failureOf(mailerFor(sink.port, { user: 'strongroom', passwordFile }).send(letter));
  expect(failure).toMatchObject({ postponed: ['ops@example.com'], refused: [] });
  expect(sink.logins).toEqual([]);
  expect(sink.taken).toEqual([]);
});

test('what stands in clear behind the answer to STARTTLS is not taken as said under TLS', async () => {
  const heard: string[] = [];
  const port = await startScript((socket) => {
    socket.write('220 relay\r\n');
    socket.on('data', (data: Buffer) => {
      const text = data.toString('latin1');
      heard.push(text);
      if (text.startsWith('EHLO')) socket.write('250-relay\r\n250 STARTTLS\r\n');
      // The one in the middle adds a whole session.
      if (text.startsWith('STARTTLS'))
        socket.write('220 go\r\n250 AUTH PLAIN\r\n235 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n250 ok\r\n', () =>
          socket.end(),
        );
    });
  });
  await failureOf(mailerFor(port, { user: 'strongroom', passwordFile }).send(letter));
  expect(heard.join('')).not.toMatch(/AUTH|MAIL/);
});

test.each([
  ['of another authority', () => ({ ca: otherCa })],
  ['of no authority that Node.js knows', () => ({ ca: undefined })],
])('a certificate %s is refused', async (_, settings) => {
  const sink = await startSink({ secure: true });
  for (const secure of ['tls', 'starttls'] as const) {
    const { port } = secure === 'tls' ? sink : await startSink();
    const failure = await failureOf(mailerFor(port, { ...settings(), secure }).send(letter));
    expect(failure.postponed).toEqual(letter.to);
  }
  expect(sink.taken).toEqual([]);
});

test('a certificate for another host is refused', async () => {
  const sink = await startSink();
  const names = { permittedDnsNames: ['example.net'], permittedIpRanges: [] };
  const authority = await createAuthority({ commonName: 'Mail test', ...names, now, validityDays: 2 });
  const leaf = await issueLeaf(authority, {
    dnsNames: ['example.net'],
    ipAddresses: [],
    now,
    validityDays: 1,
  });
  const file = join(folder, 'elsewhere.pem');
  await writeFile(file, authority.certificatePem);
  const elsewhere = await startSink({ key: leaf.privateKeyPem.exposeText(), cert: leaf.chainPem });
  const failure = await failureOf(mailerFor(elsewhere.port, { ca: file }).send(letter));
  expect(failure.postponed).toEqual(letter.to);
  expect([...sink.taken, ...elsewhere.taken]).toEqual([]);
});

test('each recipient is told apart: taken, refused for good, put off', async () => {
  const sink = await startSink({
    onRcptTo({ address }, _session, done) {
      if (address.startsWith('gone')) done(reply(550, 'no such mailbox'));
      else if (address.startsWith('full')) done(reply(452, 'mailbox full'));
      else done();
    },
  });
  const to = ['gone@example.com', 'ops@example.com', 'full@example.com'];
  const failure = await failureOf(mailerFor(sink.port).send({ ...letter, to }));
  expect(failure).toMatchObject({ refused: ['gone@example.com'], postponed: ['full@example.com'] });
  expect(sink.taken).toMatchObject([{ to: ['ops@example.com'] }]);
});

test('all recipients refused, some for good', async () => {
  const sink = await startSink({
    onRcptTo: ({ address }, _session, done) => done(reply(address.startsWith('gone') ? 550 : 450, 'no')),
  });
  const to = ['gone@example.com', 'later@example.com'];
  const failure = await failureOf(mailerFor(sink.port).send({ ...letter, to }));
  expect(failure).toMatchObject({ refused: ['gone@example.com'], postponed: ['later@example.com'] });
  expect(sink.taken).toEqual([]);
});

test.each([
  [554, [], ['ops@example.com']],
  [451, ['ops@example.com'], []],
  // Of the session, not of the letter.
  [503, ['ops@example.com'], []],
])('the letter itself is refused with %i', async (code, postponed, refused) => {
  const sink = await startSink({
    onData(stream, _session, done) {
      stream.resume();
      stream.on('end', () => done(reply(code, 'not this one')));
    },
  });
  expect(await failureOf(mailerFor(sink.port).send(letter))).toMatchObject({ postponed, refused });
});

test('a sender who is not accepted is for the operator to put right', async () => {
  const sink = await startSink({ onMailFrom: (_address, _session, done) => done(reply(553, 'not you')) });
  expect(await failureOf(mailerFor(sink.port).send(letter))).toMatchObject({
    postponed: letter.to,
    refused: [],
  });
});

test('nothing that the relay echoes is in the error', async () => {
  const sink = await startSink();
  const wrong = join(folder, 'wrong');
  await writeFile(wrong, 'hunter2-secret\n');
  const failure = await failureOf(
    mailerFor(sink.port, { user: 'strongroom', passwordFile: wrong }).send(letter),
  );
  expect(failure.postponed).toEqual(letter.to);
  expect(failure.message).toContain('535');
  expect(`${failure.message}${failure.stack}${JSON.stringify(failure)}`).not.toContain('hunter2');
  expect(failure.cause).toBeUndefined();
});

test('addresses that are none are refused for good and never said to the relay', async () => {
  const sink = await startSink();
  const bad = ['x@example.com\r\nRCPT TO:<eve@example.net>', 'Ops <ops@example.com>', 'a@b, c@d'];
  const failure = await failureOf(mailerFor(sink.port).send({ ...letter, to: [...bad, 'ops@example.com'] }));
  expect(failure).toMatchObject({ refused: bad, postponed: [] });
  expect(sink.taken).toMatchObject([{ to: ['ops@example.com'] }]);
  expect(sink.taken[0]?.message).not.toContain('eve');
});

test('headers take no line ends', async () => {
  const sink = await startSink();
  const mailer = mailerFor(sink.port);
  await expect(mailer.send({ ...letter, subject: 'x\r\nBcc: eve@example.net' })).rejects.toThrow(RangeError);
  await expect(mailer.send({ ...letter, id: '<a@b>\r\nBcc: eve@example.net' })).rejects.toThrow(RangeError);
  expect(sink.taken).toEqual([]);
});

test('a sender that is no address, and a password without TLS, are refused before anything is sent', () => {
  expect(() => mailerFor(1, { from: 'x@example.com\r\nx' })).toThrow(RangeError);
  expect(() => mailerFor(1, { secure: 'none', user: 'strongroom', passwordFile })).toThrow(RangeError);
});

test.each<[string, { serve: (socket: Socket) => void; until: RegExp }]>([
  ['never greets', { serve: () => undefined, until: /^$/ }],
  [
    'stops after its greeting',
    { serve: (socket) => void socket.write('220 relay\r\n'), until: /^EHLO .*\r\n$/ },
  ],
  [
    'stops after the recipients',
    {
      serve(socket) {
        socket.write('220 relay\r\n');
        socket.on('data', (data: Buffer) => {
          if (!data.toString().startsWith('RCPT')) socket.write('250 ok\r\n');
        });
      },
      until: /RCPT TO:<ops@example\.com>\r\n$/,
    },
  ],
])('a relay that %s is left when the time is up, and not before', async (_, { serve, until }) => {
  // Far beyond what the test's own time allows, so that only the clock in hand can end it.
  const anHour = 3_600_000;
  const clock = manualClock(now);
  const stuck = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<void>();
  const port = await startScript((socket) => {
    let heard = '';
    const look = () => until.test(heard) && stuck.resolve();
    socket.on('data', (data: Buffer) => {
      heard += data.toString();
      look();
    });
    socket.on('close', () => closed.resolve());
    serve(socket);
    look();
  });
  const sending = failureOf(mailerFor(port, { secure: 'none' }, { clock, timeout: anHour }).send(letter));
  await stuck.promise;
  clock.advance(anHour - 1);
  await turnOfEventLoop();
  const early = await Promise.race([sending, Promise.resolve('under way')]);
  clock.advance(1);
  expect(early).toBe('under way');
  expect(await sending).toMatchObject({
    postponed: letter.to,
    message: expect.stringContaining('ETIMEDOUT'),
  });
  await closed.promise;
});

test('a relay that hangs up, or that nobody hears, is for later', async () => {
  const port = await startScript((socket) => socket.end());
  expect(await failureOf(mailerFor(port).send(letter))).toMatchObject({ postponed: letter.to, refused: [] });
  await open.pop()?.();
  const failure = await failureOf(mailerFor(port, { host: '127.0.0.1' }).send(letter));
  expect(failure).toMatchObject({ postponed: letter.to, refused: [] });
});

test('a relay that never ends its answer is left', async () => {
  const port = await startScript((socket) => {
    socket.on('data', () => undefined);
    socket.write(`220-${'x'.repeat(70_000)}`);
  });
  expect(await failureOf(mailerFor(port).send(letter))).toMatchObject({
    postponed: letter.to,
    message: expect.stringContaining('EPROTOCOL'),
  });
});
