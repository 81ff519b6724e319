/**
 * Talks ACME (RFC 8555) to one authority: directory, nonces, signed requests. Every address that the authority names is
 * checked before it is asked: it has to be HTTPS, and on a host that the operator named.
 */
import * as v from 'valibot';
import type { Clock } from '../core/clock.ts';
import type { AccountSigner } from './account-key.ts';
import type { HttpClient, HttpReply } from './https.ts';
import { type AcmeProblem, readProblem, unexpectedAnswer } from './problems.ts';

/** An authority as the configuration names it. */
export interface Directory {
  readonly name: string;
  /** Of the directory document; HTTPS. */
  readonly url: string;
  /** PEM: whose servers are trusted, instead of those that Node.js trusts. */
  readonly ca?: string | undefined;
  /** Origins besides the directory's own that its documents may lead to. */
  readonly origins?: readonly string[];
}

const longestUrl = 2048;
const nonceForm = /^[A-Za-z0-9_-]{1,512}$/;
/** Authorities refuse nonces at random, to see whether clients bear it (RFC 8555 §6.5). */
const nonceAttempts = 5;

const directoryDocument = v.object({
  newNonce: v.string(),
  newAccount: v.string(),
  newOrder: v.string(),
  meta: v.fallback(
    v.optional(v.object({ externalAccountRequired: v.fallback(v.optional(v.boolean()), undefined) })),
    undefined,
  ),
});

/** What a signed request brought. */
export interface AcmeReply {
  /** The address in `Location`, checked. */
  readonly location: string | undefined;
  /** Seconds, within what is sensible. */
  readonly retryAfter: number | undefined;
  readonly body: Buffer;
  json(): unknown;
}

export interface AcmeSession {
  readonly newAccount: string;
  readonly newOrder: string;
  readonly externalAccountRequired: boolean;
  /** POST with a payload, or POST-as-GET without; throws `AcmeProblem` for a refusal. */
  post(url: string, by: { payload?: object; kid?: string; accept?: string }): Promise<AcmeReply>;
  /** The address, if the authority may lead us there; throws `OrderPostponed` if not. */
  checked(url: string): string;
}

export interface SessionParts {
  readonly clock: Clock;
  readonly http: HttpClient;
  readonly signer: AccountSigner;
}

export async function openSession(parts: SessionParts, directory: Directory): Promise<AcmeSession> {
  const { http, clock, signer } = parts;
  const start = new URL(directory.url);
  const origins = new Set([start.origin, ...(directory.origins ?? [])]);
  const checked = (url: string, base?: string) => checkUrl(url, { origins, base });
  const document = await readDirectory(http, { url: start, clock });
  const nonces = createNonces(http, checked(document.newNonce));

  async function attempt(
    url: string,
    { payload, kid, accept }: Parameters<AcmeSession['post']>[1],
  ): Promise<HttpReply> {
    const body = await signer.sign(payload, { url, nonce: await nonces.take(), kid });
    const headers = {
      'content-type': 'application/jose+json',
      ...(accept === undefined ? {} : { accept }),
    };
    const reply = await http.exchange({ method: 'POST', url: new URL(url), headers, body });
    nonces.offer(reply.header('replay-nonce'));
    return reply;
  }

  return {
    newAccount: checked(document.newAccount),
    newOrder: checked(document.newOrder),
    externalAccountRequired: document.meta?.externalAccountRequired === true,
    checked,
    async post(to, by) {
      const url = checked(to);
      for (let left = nonceAttempts; ; left -= 1) {
        const reply = await attempt(url, by);
        if (reply.status < 300) return acmeReply(reply, { clock, checked: (text) => checked(text, url) });
        const problem = problemOf(reply, clock);
        if (problem.type !== 'badNonce' || left <= 1) throw problem;
      }
    },
  };
}

/** RFC 8555 §7.1.1: the one document that is asked for without a signature. */
async function readDirectory(
  http: HttpClient,
  { url, clock }: { url: URL; clock: Clock },
): Promise<v.InferOutput<typeof directoryDocument>> {
  const reply = await http.exchange({ method: 'GET', url });
  if (reply.status !== 200) throw problemOf(reply, clock);
  const parsed = v.safeParse(directoryDocument, parseJson(reply.body));
  if (!parsed.success) throw unexpectedAnswer('it is no ACME directory.');
  return parsed.output;
}

function createNonces(http: HttpClient, newNonce: string) {
  let next: string | undefined;
  return {
    /** Each once. */
    async take(): Promise<string> {
      const held = next;
      next = undefined;
      if (held !== undefined) return held;
      const reply = await http.exchange({ method: 'HEAD', url: new URL(newNonce) });
      const nonce = reply.header('replay-nonce');
      if (reply.status >= 300 || nonce === undefined || !nonceForm.test(nonce)) {
        throw unexpectedAnswer('it has no nonce.');
      }
      return nonce;
    },
    offer(nonce: string | undefined): void {
      if (nonce !== undefined && nonceForm.test(nonce)) next = nonce;
    },
  };
}

/** An authority that is not what it should be must not have this server ask others in its name. */
function checkUrl(
  text: string,
  { origins, base }: { origins: ReadonlySet<string>; base?: string | undefined },
): string {
  if (text.length > longestUrl || !URL.canParse(text, base))
    throw unexpectedAnswer('a link in it is no address.');
  const url = new URL(text, base);
  if (url.protocol !== 'https:' || !origins.has(url.origin) || url.username !== '' || url.password !== '') {
    throw unexpectedAnswer("a link in it leads away from the authority's own host.");
  }
  return url.href;
}

function acmeReply(
  reply: HttpReply,
  { clock, checked }: { clock: Clock; checked: (text: string) => string },
): AcmeReply {
  const location = reply.header('location');
  return {
    location: location === undefined ? undefined : checked(location),
    retryAfter: retryAfterOf(reply, clock),
    body: reply.body,
    json: () => parseJson(reply.body),
  };
}

function problemOf(reply: HttpReply, clock: Clock): AcmeProblem {
  const { status } = reply;
  const about = { status, retryAfter: retryAfterOf(reply, clock) };
  if (status < 400) throw unexpectedAnswer(`it has status ${status}; redirects are not followed.`);
  return readProblem(tryJson(reply.body), about);
}

function parseJson(body: Buffer): unknown {
  const value = tryJson(body);
  if (value === undefined) throw unexpectedAnswer('it is no JSON.');
  return value;
}

function tryJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}

/** A week: what an authority asks beyond that is left to the operator, who sees the order waiting. */
const longestWait = 7 * 24 * 3600;

/** RFC 9110 §10.2.3: seconds or a date. Undefined for what is neither; at least one second. */
function retryAfterOf(reply: HttpReply, clock: Clock): number | undefined {
  const text = reply.header('retry-after');
  if (text === undefined) return undefined;
  const seconds = /^\d{1,10}$/.test(text) ? Number(text) : (Date.parse(text) - clock.now()) / 1000;
  return Number.isNaN(seconds) ? undefined : Math.min(Math.max(Math.ceil(seconds), 1), longestWait);
}
