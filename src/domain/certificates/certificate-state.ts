/**
 * What is kept of certificates and of their pending operations besides the attributes of every version: JSON beside
 * them, in clear, since all of it is public; and what is sealed, which decides what may leave the server.
 */
import { isDeepStrictEqual } from 'node:util';
import { SecretBytes } from '../../core/secret-bytes.ts';
import type { KeySpec, PublicJwk } from '../../crypto/provider.ts';
import type { ObjectVersion } from '../versioned/object-store.ts';
import { type CertificatePolicy, fromJson, type StoredPolicy } from './certificate-policy.ts';
import { lifetimeDue } from './lifetime.ts';

/** What a certificate is as a whole. Times are Unix seconds. */
export interface CertificateState extends StoredPolicy {
  /** Of the last operation that made, or is to make, a version; undefined if it was deleted or there was none. */
  readonly pending: 'inProgress' | 'ended' | undefined;
  /** What was done over the lifetime of which version. */
  readonly marks: CertificateMarks | undefined;
  /** A renewal that came to nothing is not tried again before this. */
  readonly renewAfter: number | undefined;
  /** Renewals that came to nothing, one after the other. */
  readonly failures: number;
}

export interface CertificateMarks {
  readonly version: string;
  readonly mailed: boolean;
  /** Whether contacts were told that no new version comes. */
  readonly stalled?: boolean;
  /** A letter that did not go out is not tried again before this. */
  readonly mailAfter: number | undefined;
  readonly nearExpiry: boolean;
  readonly expired: boolean;
}

/** What one version says of itself; `x5t` is undefined until it is issued. */
export interface CertificateDetail {
  readonly x5t: string | undefined;
  readonly subject: string;
  readonly preserveCertOrder: boolean;
}

/** What is sealed of a version: the certificate and its issuers, and whether its private key is in the linked secret. */
export interface CertificateValue {
  /** DER in base64; the leaf first, unless the order was to be kept. Empty while the version is pending. */
  readonly chain: readonly string[];
  /** The place of the leaf in the chain. */
  readonly leaf: number;
  readonly exportable: boolean;
}

/** An operation that makes a version. Its new key's material is sealed beside it while it is in progress. */
export interface PendingState {
  readonly requestId: string;
  /** The version that it makes. */
  readonly version: string;
  /** The policy as it was when the operation began. */
  readonly policy: CertificatePolicy;
  /** PKCS#10 DER in base64. */
  readonly csr: string;
  readonly status: 'inProgress' | 'completed' | 'cancelled' | 'failed';
  readonly cancellationRequested: boolean;
  readonly error: { readonly code: string; readonly message: string } | undefined;
  readonly preserveCertOrder: boolean;
  readonly enabled: boolean;
  readonly tags: Readonly<Record<string, string>> | undefined;
  readonly key: PendingKey;
  /** What the issuer's provider is to know when it goes on. */
  readonly order: string | undefined;
  /** Steps that could not be done, one after the other. */
  readonly failures: number;
  /** Whether a job began it, to renew the certificate. */
  readonly isRenewal: boolean;
}

export interface PendingKey {
  readonly spec: KeySpec;
  readonly hsm: boolean;
  readonly provider: string;
  readonly platform: string;
  readonly jwk: PublicJwk;
}

const secondsPerDay = 86_400;
/** `CertificateNearExpiry` is told so many seconds ahead (Azure: 30 days). */
const nearExpiry = 30 * secondsPerDay;

export function formatState(state: CertificateState): string {
  return JSON.stringify(state);
}

/** The reverse of `formatState`. */
export function parseState(text: string | undefined): CertificateState {
  if (text === undefined) throw new TypeError('a certificate without its state');
  const { policy, pending, marks, renewAfter, ...state } = JSON.parse(text) as CertificateState;
  return { ...state, policy: fromJson(policy), pending, marks, renewAfter };
}

export function formatDetail(detail: CertificateDetail): string {
  return JSON.stringify(detail);
}

export function parseDetail(text: string | undefined): CertificateDetail {
  if (text === undefined) throw new TypeError('a version of a certificate without its detail');
  const { x5t, ...detail } = JSON.parse(text) as CertificateDetail;
  return { ...detail, x5t };
}

export function sealedForm(value: CertificateValue): SecretBytes {
  return SecretBytes.fromText(JSON.stringify(value));
}

export function parseValue(value: SecretBytes): CertificateValue {
  return JSON.parse(value.exposeText()) as CertificateValue;
}

export function formatPending(state: PendingState): string {
  return JSON.stringify(state);
}

/** The reverse of `formatPending`. */
export function parsePending(text: string | undefined): PendingState {
  if (text === undefined) throw new TypeError('a pending certificate without its state');
  const { policy, error, tags, order, ...state } = JSON.parse(text) as PendingState;
  return { ...state, policy: fromJson(policy), error, tags, order };
}

/** What an operation asks for: whoever can write to the database, and to nothing else, must not be able to change it. */
type Asked = Pick<PendingState, 'csr' | 'policy'>;

/** What is sealed of an operation: what it asks for, with its length, and what its new key is sealed with as a key. */
export function packPending({ csr, policy }: Asked, key: SecretBytes): SecretBytes {
  const asked = Buffer.from(JSON.stringify({ csr, policy }));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(asked.length);
  return new SecretBytes(Buffer.concat([length, asked, key.exposeBytes()]));
}

/**
 * Takes apart what `packPending` made; the key shares its bytes. Throws where another request, or one by another policy,
 * stands in clear than was sealed: no certificate is had for another key, other names or of another issuer.
 */
export function unpackPending({ csr, policy }: Asked, value: SecretBytes): SecretBytes {
  const { buffer, byteOffset, byteLength } = value.exposeBytes();
  const bytes = Buffer.from(buffer, byteOffset, byteLength);
  const end = 4 + bytes.readUInt32BE(0);
  const sealed = JSON.parse(bytes.toString('utf8', 4, end)) as Asked;
  if (!isDeepStrictEqual({ csr, policy }, { csr: sealed.csr, policy: fromJson(sealed.policy) }))
    throw new Error('a pending certificate does not ask for what was sealed with its key');
  return new SecretBytes(bytes.subarray(end));
}

/** What is to be done with a certificate, and from when on. */
export interface CertificateDue {
  readonly renew: number | undefined;
  readonly mail: number | undefined;
  /** When contacts are to be told that a new version is still on its way. */
  readonly stalled: number | undefined;
  readonly nearExpiry: number | undefined;
  readonly expired: number | undefined;
}

const nothingDue: CertificateDue = {
  renew: undefined,
  mail: undefined,
  stalled: undefined,
  nearExpiry: undefined,
  expired: undefined,
};

/** Seconds that an operation is given in any case. */
const patience = 3600;

/** Half of the time that there is for a renewal: an order that is only ever put off has failed for nobody yet. */
function stalledAt(renewAt: number, expires: number): number {
  return Math.floor((renewAt + expires) / 2);
}

/** A disabled version is left alone: whoever disabled it does not wait for another one. */
export function dueOf(state: CertificateState, current: ObjectVersion): CertificateDue {
  const { notBefore, expires } = current;
  const isIssued = parseDetail(current.detail).x5t !== undefined;
  if (!isIssued || !current.enabled || notBefore === undefined || expires === undefined) return nothingDue;
  const { renewAt, emailAt } = lifetimeDue(state.policy, { notBefore, expires });
  const marks = state.marks?.version === current.version ? state.marks : undefined;
  const isOnItsWay = state.pending === 'inProgress';
  const mailAfter = marks?.mailAfter ?? 0;
  return {
    renew: isOnItsWay || renewAt === undefined ? undefined : Math.max(renewAt, state.renewAfter ?? 0),
    mail: marks?.mailed || emailAt === undefined ? undefined : Math.max(emailAt, mailAfter),
    stalled:
      !isOnItsWay || marks?.stalled || renewAt === undefined
        ? undefined
        : Math.max(stalledAt(renewAt, expires), state.updated + patience, mailAfter),
    nearExpiry: marks?.nearExpiry ? undefined : expires - nearExpiry,
    expired: marks?.expired ? undefined : expires,
  };
}

/** When a job is to look at the certificate: the rule of its kind. */
export function certificateDueAt(detail: string | undefined, current: ObjectVersion): number | undefined {
  const times = Object.values(dueOf(parseState(detail), current)).filter((time) => time !== undefined);
  return times.length === 0 ? undefined : Math.min(...times);
}
