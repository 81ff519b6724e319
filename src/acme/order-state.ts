/** What one step of an ACME order tells the next; persisted with the pending operation. */
import * as v from 'valibot';

const url = v.string();
const challenge = v.object({
  authorization: url,
  url,
  /** Without a wildcard. */
  name: v.string(),
  token: v.string(),
});

const orderState = v.object({
  v: v.literal(1),
  /** Under which the order was made; another account knows nothing of it. */
  account: url,
  order: url,
  finalize: url,
  /**
   * `read`: the authorizations are being read; `put`: the answers are being put up; `respond`: the authority is being
   * told to look; `issue`: it is looking, or making the certificate.
   */
  phase: v.picklist(['read', 'put', 'respond', 'issue']),
  authorizations: v.array(url),
  challenges: v.array(challenge),
  /** Of the list that the phase goes through, how many are done. */
  done: v.number(),
  /** How often the order was looked at in `issue`. */
  looks: v.number(),
  /** Unix milliseconds. */
  started: v.number(),
  /** Orders for the same before this one, which failed for a reason that may have passed. */
  before: v.optional(v.number(), 0),
});

/** Between two orders. */
const between = v.object({ v: v.literal(1), before: v.number() });

export type OrderState = v.InferOutput<typeof orderState>;
export type OpenChallenge = v.InferOutput<typeof challenge>;

export function writeState(state: OrderState): string {
  return JSON.stringify(state);
}

/** The state after so many orders that failed, while there is none. */
export function writeBetween(before: number): string {
  return JSON.stringify({ v: 1, before });
}

/** How many orders have failed before the next one. */
export function failedBefore(text: string | undefined): number {
  return parsed(between, text)?.before ?? 0;
}

/** Undefined for no state, and for what is not of this form: the order is then begun anew. */
export function readState(text: string | undefined): OrderState | undefined {
  return parsed(orderState, text);
}

function parsed<T extends v.GenericSchema>(
  schema: T,
  text: string | undefined,
): v.InferOutput<T> | undefined {
  if (text === undefined) return undefined;
  try {
    return v.parse(schema, JSON.parse(text));
  } catch {
    return undefined;
  }
}
