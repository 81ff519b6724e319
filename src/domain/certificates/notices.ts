/**
 * Letters to the contacts of a vault about its certificates, and the port by which they go out. A letter's id follows
 * from what it is about, so that one that is sent twice after a crash can be known as the same.
 */

/** One letter in plain text. */
export interface Message {
  readonly subject: string;
  /** Lines end with `\n`. */
  readonly text: string;
  /** The Message-ID with its angle brackets (RFC 5322 §3.6.4). */
  readonly id: string;
}

export interface Mailer {
  /** Sends to all at once. Throws `NotDelivered` unless every recipient's letter was taken on by the relay. */
  send(message: Message & { readonly to: readonly string[] }): Promise<void>;
}

/** A letter that did not go out to some or all of its recipients; the text names no secret and no recipient. */
export class NotDelivered extends Error {
  /** For these it can be tried again. */
  readonly postponed: readonly string[];
  /** These addresses are refused for good. */
  readonly refused: readonly string[];

  constructor(
    message: string,
    recipients: { readonly postponed: readonly string[]; readonly refused: readonly string[] },
  ) {
    super(message);
    this.name = 'NotDelivered';
    this.postponed = recipients.postponed;
    this.refused = recipients.refused;
  }
}

/** The certificate version that a letter is about. */
export interface NoticeInput {
  /** The host of the vault's address: `contoso.vault.example.com`. */
  readonly vaultHost: string;
  readonly certificate: string;
  /** Its id, 32 hexadecimal digits. */
  readonly version: string;
  /** Unix seconds. */
  readonly expires: number;
}

/** When the certificate will be renewed without anybody's doing, in Unix seconds; undefined for never. */
export type ExpiryNoticeInput = NoticeInput & {
  readonly renewAt: number | undefined;
  /** Unix seconds: a letter may be late. */
  readonly now: number;
};

export type RenewalFailedNoticeInput = NoticeInput & {
  /** What the issuer said, which is from outside. */
  readonly error: { readonly code: string; readonly message: string };
  /** When it will be tried again, in Unix seconds; undefined for never. */
  readonly retryAt: number | undefined;
};

export type RenewalStalledNoticeInput = NoticeInput & {
  /** Why its order was put off the last time; undefined while it only waits. */
  readonly error: { readonly code: string; readonly message: string } | undefined;
};

const longestReason = 1000;

/** Says that a version comes to its end, and whether another will take its place. Throws `RangeError` for no address. */
export function expiryNotice(input: ExpiryNoticeInput): Message {
  const { certificate, renewAt } = input;
  const isOver = input.expires <= input.now;
  const on = utc(input.expires).slice(0, 10);
  return {
    subject: `Certificate ${certificate} ${isOver ? 'expired' : 'expires'} on ${on}`,
    text: letter(input, `The certificate ${certificate} ${isOver ? 'has expired' : 'comes to its end'}.`, [
      renewAt === undefined
        ? `It will not be renewed automatically: somebody has to renew it${isOver ? '' : ' before then'}.`
        : isOver
          ? 'It has not been renewed yet, which is tried automatically: somebody should look at why.'
          : `It will be renewed automatically, from ${utc(renewAt)} on. Nothing has to be done now.`,
    ]),
    id: messageId('expiry', input),
  };
}

/** Says that a version could not be renewed, why, and what happens next. Throws `RangeError` for no address. */
export function renewalFailedNotice(input: RenewalFailedNoticeInput): Message {
  const { certificate, error, retryAt } = input;
  return {
    subject: `Certificate ${certificate} could not be renewed, expires on ${utc(input.expires).slice(0, 10)}`,
    text: letter(input, `The certificate ${certificate} could not be renewed.`, [
      `Reason: ${oneLine(error.code)}: ${oneLine(error.message)}`,
      retryAt === undefined
        ? 'It will not be tried again: somebody has to renew the certificate before it expires.'
        : `It will be tried again, from ${utc(retryAt)} on.`,
    ]),
    id: messageId('renewal-failed', input),
  };
}

/** Says that a new version was asked for and is not there yet, and why. Throws `RangeError` for no address. */
export function renewalStalledNotice(input: RenewalStalledNoticeInput): Message {
  const { certificate, error } = input;
  return {
    subject: `Certificate ${certificate} is not renewed yet, expires on ${utc(input.expires).slice(0, 10)}`,
    text: letter(input, `The certificate ${certificate} is not renewed yet.`, [
      error === undefined
        ? 'Its issuer has not issued a new version yet.'
        : `The last try was put off: ${oneLine(error.code)}: ${oneLine(error.message)}`,
      'It is tried on and on, without another letter: somebody should look at why before it expires.',
    ]),
    id: messageId('renewal-stalled', input),
  };
}

function letter(input: NoticeInput, first: string, rest: readonly string[]): string {
  const facts = [
    `Vault:       ${input.vaultHost}`,
    `Certificate: ${input.certificate}`,
    `Version:     ${input.version}`,
    `Expires:     ${utc(input.expires)}`,
  ].join('\n');
  const reason = 'You are one of the contacts for certificates of this vault.';
  return `${[first, facts, ...rest, reason].join('\n\n')}\n`;
}

function utc(seconds: number): string {
  return `${new Date(seconds * 1000).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

/** What an authority says must not look like lines of ours. */
function oneLine(text: string): string {
  const line = text.replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, ' ').trim();
  return line.length > longestReason ? `${line.slice(0, longestReason).toWellFormed()}…` : line;
}

/** Names and hosts compare without case, and so do ids. */
function messageId(kind: string, { vaultHost, certificate, version }: NoticeInput): string {
  const id = `${kind}.${certificate}.${version}@${vaultHost}`.toLowerCase();
  if (!/^[a-z0-9.-]+@[a-z0-9.-]+$/.test(id)) throw new RangeError('not the address of a certificate version');
  return `<${id}>`;
}
