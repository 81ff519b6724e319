/** Orders, authorizations and challenges as authorities show them (RFC 8555 §7.1); what we do not use is not read. */
import * as v from 'valibot';
import { unexpectedAnswer } from './problems.ts';
import type { AcmeReply } from './session.ts';

const optionalText = v.fallback(v.optional(v.string()), undefined);

const order = v.object({
  status: v.picklist(['pending', 'ready', 'processing', 'valid', 'invalid']),
  /** One for each name, and some authorities repeat one. */
  authorizations: v.pipe(v.array(v.string()), v.maxLength(200)),
  finalize: v.string(),
  certificate: optionalText,
  error: v.optional(v.unknown()),
});

const challenge = v.object({
  type: v.string(),
  url: optionalText,
  token: optionalText,
  status: v.fallback(v.string(), 'pending'),
  error: v.optional(v.unknown()),
});

const authorization = v.object({
  status: v.picklist(['pending', 'valid', 'invalid', 'deactivated', 'expired', 'revoked']),
  identifier: v.object({ type: v.string(), value: v.string() }),
  challenges: v.pipe(v.array(challenge), v.maxLength(50)),
});

export type Order = v.InferOutput<typeof order>;
export type Authorization = v.InferOutput<typeof authorization>;
export type Challenge = v.InferOutput<typeof challenge>;

export function readOrder(reply: AcmeReply): Order {
  const parsed = v.safeParse(order, reply.json());
  if (!parsed.success) throw unexpectedAnswer('it is no order.');
  return parsed.output;
}

export function readAuthorization(reply: AcmeReply): Authorization {
  const parsed = v.safeParse(authorization, reply.json());
  if (!parsed.success) throw unexpectedAnswer('it is no authorization.');
  return parsed.output;
}
