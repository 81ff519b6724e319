/** What an authority says when it refuses (RFC 7807, RFC 8555 §6.7), and which of it is for good. */
import * as v from 'valibot';
import { OrderPostponed, type OrderStep } from '../domain/certificates/issuer-provider.ts';
import { NoReply } from './https.ts';

const text = v.fallback(v.string(), '');
const member = v.object({
  type: text,
  detail: text,
  identifier: v.fallback(v.optional(v.object({ value: v.string() })), undefined),
});
const problemDocument = v.object({
  ...member.entries,
  subproblems: v.fallback(v.optional(v.array(member)), undefined),
});
type ProblemMember = v.InferOutput<typeof member>;

const longestMessage = 1000;
/** Subproblems that are quoted; an order may have one for each of its names. */
const mostQuoted = 5;
const namespace = 'urn:ietf:params:acme:error:';

/** An authority's refusal: ACME's type without its namespace, and a text that is safe to show. */
export class AcmeProblem extends Error {
  readonly type: string;
  /** Of the answer that the problem came with; 0 for one inside an order or a challenge. */
  readonly status: number;
  /** Seconds from `Retry-After`. */
  readonly retryAfter: number | undefined;

  constructor(
    type: string,
    message: string,
    { status = 0, retryAfter }: { status?: number; retryAfter?: number | undefined } = {},
  ) {
    super(message);
    this.name = 'AcmeProblem';
    this.type = type;
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** Reads a problem document, of whatever shape: what is not understood becomes the type `refused`. */
export function readProblem(
  value: unknown,
  about: { status?: number; retryAfter?: number | undefined } = {},
): AcmeProblem {
  const parsed = v.safeParse(problemDocument, value);
  const fallback = about.status === undefined ? 'The authority gave no reason.' : `Status ${about.status}.`;
  if (!parsed.success) return new AcmeProblem('refused', fallback, about);
  const { subproblems = [], ...whole } = parsed.output;
  const quoted = [whole, ...subproblems.slice(0, mostQuoted)].map(quote).filter((part) => part !== '');
  const message = cleanText(quoted.join(' ')) || fallback;
  // A compound problem says what is wrong in its parts only (RFC 8555 §6.7.1).
  const types = [whole, ...subproblems].map(shortType);
  const type = types.find((name) => name !== '' && name !== 'compound') ?? 'refused';
  return new AcmeProblem(type, message, about);
}

function quote({ detail, identifier }: ProblemMember): string {
  if (detail === '') return '';
  return identifier === undefined ? detail : `${identifier.value}: ${detail}`;
}

function shortType({ type }: ProblemMember): string {
  const name = type.startsWith(namespace) ? type.slice(namespace.length) : '';
  return /^[A-Za-z0-9]{1,64}$/.test(name) ? name : '';
}

/** One line of bounded length without control, formatting and unassigned characters: it is shown and logged. */
function cleanText(given: string): string {
  const line = given
    .slice(0, 4 * longestMessage)
    .replace(/[\p{C}\p{Z}]+/gu, ' ')
    .trim();
  return line.length > longestMessage ? `${line.slice(0, longestMessage - 1)}…` : line;
}

/** What may be otherwise later, whatever we do. */
const passing = new Set(['rateLimited', 'serverInternal', 'badNonce']);

/** An answer that no authority should give; trying again costs nothing, and it may have been a proxy's. */
export function unexpectedAnswer(what: string, cause?: unknown): OrderPostponed {
  return new OrderPostponed('unexpectedAnswer', `The authority's answer is not valid: ${what}`, { cause });
}

/** What a step that threw this comes to; throws `OrderPostponed` for what may go away, and what is no refusal as it is. */
export function outcomeOfError(error: unknown): OrderStep {
  if (error instanceof NoReply) throw new OrderPostponed('connection', error.message, { cause: error });
  if (!(error instanceof AcmeProblem)) throw error;
  const { type, status, message, retryAfter } = error;
  if (passing.has(type) || status === 429 || status >= 500) {
    const code = type === 'refused' ? (status === 429 ? 'rateLimited' : 'serverInternal') : type;
    throw new OrderPostponed(code, message, { seconds: retryAfter });
  }
  return { kind: 'failed', code: type, message };
}
