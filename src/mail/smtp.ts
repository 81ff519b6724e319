/**
 * Sends letters through an SMTP relay (RFC 5321), one connection for each. `nodemailer` speaks the protocol; here are
 * the bounds on time, what is refused before it is said, and errors in which nothing is that the relay echoes.
 */
import { readFile } from 'node:fs/promises';
import type SMTPConnection from 'nodemailer/lib/smtp-connection';
import type { Clock } from '../core/clock.ts';
import { type Mailer, type Message, NotDelivered } from '../domain/certificates/notices.ts';
import { isMailAddress } from './address.ts';

/** The relay and how to reach it. The files are read for each letter, so that one that changes counts at once. */
export interface SmtpSettings {
  readonly host: string;
  readonly port: number;
  /** `starttls`: nothing is sent unless the relay offers it. */
  readonly secure: 'none' | 'starttls' | 'tls';
  /** PEM file of the authorities that the relay's certificate may be from; default: those of Node.js. */
  readonly ca: string | undefined;
  /** Only with TLS. */
  readonly user: string | undefined;
  /** Its first line is the password. */
  readonly passwordFile: string | undefined;
  /** The sender's address, in the envelope too. */
  readonly from: string;
}

export interface SmtpDeps {
  readonly clock: Clock;
  /** Milliseconds for one letter, from the connection to the relay's last word. */
  readonly timeout: number;
}

type Letter = Message & { readonly to: readonly string[] };
type SmtpError = Error & {
  readonly code?: string | undefined;
  readonly responseCode?: number | undefined;
  readonly command?: string | undefined;
  readonly recipient?: string | undefined;
  readonly rejectedErrors?: readonly SmtpError[] | undefined;
};

/** Bytes of one reply; far more than any that a relay gives. */
const longestReply = 64 * 1024;

/** Throws `RangeError` for a sender that is no address, and for a user without TLS. */
export function createSmtpMailer(settings: SmtpSettings, deps: SmtpDeps): Mailer {
  if (!isMailAddress(settings.from)) throw new RangeError('the sender of mail is not an address');
  if (settings.user !== undefined && settings.secure === 'none')
    throw new RangeError('a password is not sent without TLS');
  return {
    async send(letter) {
      assertPlain(letter);
      const recipients = [...new Set(letter.to)];
      const valid = recipients.filter(isMailAddress);
      const refused = recipients.filter((address) => !valid.includes(address));
      const outcome =
        valid.length === 0 ? nobody : await deliver({ ...letter, to: valid }, { settings, deps });
      if (outcome.postponed.length + outcome.refused.length + refused.length === 0) return;
      throw new NotDelivered(outcome.why ?? 'an address is not valid', {
        postponed: outcome.postponed,
        refused: [...refused, ...outcome.refused],
      });
    },
  };
}

interface Outcome {
  readonly postponed: readonly string[];
  readonly refused: readonly string[];
  readonly why: string | undefined;
}

const nobody: Outcome = { postponed: [], refused: [], why: undefined };

/** Texts are our own; a line end in a header would begin another one. */
function assertPlain({ subject, id }: Message): void {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  if (/[\x00-\x1f\x7f]/.test(subject)) throw new RangeError('the subject of a letter is one line');
  if (!/^<[A-Za-z0-9.-]+@[A-Za-z0-9.-]+>$/.test(id)) throw new RangeError('not a Message-ID');
}

interface Work {
  readonly settings: SmtpSettings;
  readonly deps: SmtpDeps;
}

/** Never throws: what failed is in the outcome. */
async function deliver(letter: Letter, work: Work): Promise<Outcome> {
  try {
    const message = await compose(letter, work);
    const info = await transact({ message, to: letter.to }, work);
    return outcomeOf(info.rejectedErrors ?? []);
  } catch (error) {
    const failure = error as SmtpError;
    if (failure.rejectedErrors !== undefined) return outcomeOf(failure.rejectedErrors);
    const why = describe(failure);
    // The relay took the recipients and refuses what is written to them.
    return failure.command === 'DATA' && isForGood(failure)
      ? { postponed: [], refused: letter.to, why }
      : { postponed: letter.to, refused: [], why };
  }
}

function outcomeOf(errors: readonly SmtpError[]): Outcome {
  const addresses = (list: readonly SmtpError[]) => list.map(({ recipient = '' }) => recipient);
  return {
    postponed: addresses(errors.filter((error) => !isForGood(error))),
    refused: addresses(errors.filter(isForGood)),
    why: errors[0] && describe(errors[0]),
  };
}

/** RFC 5321 §4.2.1; 503 speaks of the session and not of the letter. */
function isForGood({ responseCode = 0 }: SmtpError): boolean {
  return responseCode >= 500 && responseCode <= 599 && responseCode !== 503;
}

/** Codes only: a relay may repeat in its text what it was told, the password among it. */
function describe({ code = 'error', responseCode }: SmtpError): string {
  const reply = responseCode === undefined ? '' : `, reply ${responseCode}`;
  return `a letter could not be handed to the mail relay (${code}${reply})`;
}

async function compose(letter: Letter, { settings, deps }: Work): Promise<Buffer> {
  const { default: MailComposer } = await import('nodemailer/lib/mail-composer');
  const composer = new MailComposer({
    from: { name: 'Strongroom', address: settings.from },
    // Objects, since texts would be parsed as lists.
    to: letter.to.map((address) => ({ name: '', address })),
    subject: letter.subject,
    text: letter.text,
    messageId: letter.id,
    date: new Date(deps.clock.now()),
    // RFC 3834 §5: nobody's absence is to be answered to us.
    headers: { 'Auto-Submitted': 'auto-generated' },
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  return composer.compile().build();
}

type SentInfo = { readonly rejectedErrors?: readonly SmtpError[] | undefined };

/** One connection from its beginning to its end, in bounded time. */
async function transact(
  letter: { readonly message: Buffer; readonly to: readonly string[] },
  { settings, deps }: Work,
): Promise<SentInfo> {
  const { default: Connection } = await import('nodemailer/lib/smtp-connection');
  const password =
    settings.passwordFile === undefined ? undefined : await readPassword(settings.passwordFile);
  const connection = new Connection(await connectionOptions(settings, deps.timeout));
  const { promise: broken, reject } = Promise.withResolvers<never>();
  // It may break when nobody waits for it any more.
  broken.catch(() => undefined);
  connection.on('error', reject);
  connection.once('end', () => reject(failed('ECONNECTION')));
  const timer = deps.clock.after(deps.timeout, () => reject(failed('ETIMEDOUT')));
  const step = <T>(start: (done: (error: Error | null | undefined, value: T) => void) => void): Promise<T> =>
    Promise.race([
      broken,
      new Promise<T>((done, fail) => {
        start((error, value) => (error ? fail(error) : done(value)));
      }),
    ]);
  try {
    await step<void>((done) => connection.connect((error) => done(error, undefined)));
    if (settings.user !== undefined) {
      const credentials = { user: settings.user, pass: password ?? '' };
      await step<unknown>((done) => connection.login({ credentials }, done));
    }
    const envelope = { from: settings.from, to: [...letter.to], size: letter.message.length };
    return await step<SentInfo>((done) => connection.send(envelope, letter.message, done));
  } finally {
    timer.cancel();
    hangUp(connection);
  }
}

/** Without waiting for a farewell: the relay has answered, or will not. */
function hangUp(connection: SMTPConnection): void {
  connection.quit();
  connection.close();
}

async function connectionOptions(
  { host, port, secure, ca }: SmtpSettings,
  timeout: number,
): Promise<ConstructorParameters<typeof SMTPConnection>[0]> {
  const trusted = ca === undefined ? {} : { ca: await readFile(ca) };
  return {
    host,
    port,
    secure: secure === 'tls',
    requireTLS: secure === 'starttls',
    ignoreTLS: secure === 'none',
    connectionTimeout: timeout,
    greetingTimeout: timeout,
    socketTimeout: timeout,
    dnsTimeout: timeout,
    maxResponseSize: longestReply,
    tls: { ...trusted, minVersion: 'TLSv1.2', rejectUnauthorized: true },
  };
}

async function readPassword(path: string): Promise<string> {
  return (await readFile(path, 'utf8')).split(/\r?\n/, 1)[0] ?? '';
}

function failed(code: string): Error {
  return Object.assign(new Error(code), { code });
}
