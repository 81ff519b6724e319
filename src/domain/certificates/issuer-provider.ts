/**
 * Who issues certificates for a vault: the port that every certificate authority stands behind. A provider keeps
 * nothing between two steps; what it has to know again is in the order, which the domain persists.
 */
import type { SecretBytes } from '../../core/secret-bytes.ts';
import type { CertificateContent } from '../../crypto/x509/certificate-content.ts';
import type { Vault } from '../vaults/vault.ts';

/** Who an issuer's account is for, as its issuer object says. */
export interface OrganizationDetails {
  readonly id?: string | undefined;
  readonly adminDetails: readonly AdministratorDetails[];
}

export interface AdministratorDetails {
  readonly firstName?: string | undefined;
  readonly lastName?: string | undefined;
  readonly email?: string | undefined;
  readonly phone?: string | undefined;
}

/** The issuer object that an order goes to, opened. */
export interface CertificateIssuer {
  readonly name: string;
  readonly accountId: string | undefined;
  readonly password: SecretBytes | undefined;
  readonly organization: OrganizationDetails | undefined;
  /** What the provider asked to be kept with the issuer (an account's key), sealed. */
  readonly kept: SecretBytes | undefined;
}

/** What a provider has to know of the vault that orders. */
export type OrderVault = Pick<Vault, 'id' | 'name'>;

/** What a provider is given to go on with an order; nothing in it is kept by the provider. */
export interface CertificateOrder {
  readonly vault: OrderVault;
  readonly issuer: CertificateIssuer;
  /** PKCS#10, DER. */
  readonly request: Uint8Array;
  readonly content: CertificateContent;
  readonly validityMonths: number;
  /** Emails of the vault's contacts. */
  readonly contacts: readonly string[];
  /** What the last step said is to be known by the next; undefined at the first. */
  readonly state: string | undefined;
}

/** What came of one step. */
export type OrderStep =
  /** `chain` is DER, the leaf first. */
  | { readonly kind: 'issued'; readonly chain: readonly Uint8Array[]; readonly keep?: SecretBytes }
  /** Persisted before the next step, which is to be done after `seconds`. */
  | {
      readonly kind: 'waiting';
      readonly state: string;
      readonly seconds: number;
      readonly keep?: SecretBytes;
      /** What went wrong and is tried again; shown to callers. */
      readonly why?: { readonly code: string; readonly message: string };
    }
  /** For good; what may go away by itself is thrown as `OrderPostponed`. */
  | { readonly kind: 'failed'; readonly code: string; readonly message: string };

/** An order that could not go on now: to be tried again after `seconds`, or the domain's backoff. The text is shown to callers. */
export class OrderPostponed extends Error {
  readonly code: string;
  readonly seconds: number | undefined;

  constructor(
    code: string,
    message: string,
    options: { readonly seconds?: number | undefined; readonly cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'OrderPostponed';
    this.code = code;
    this.seconds = options.seconds;
  }
}

export interface IssuerProvider {
  /** Whether it needs nobody else, so that what is asked for is issued within the request. */
  readonly isImmediate?: boolean;
  /** Does one bounded step; a crash between two steps loses at most one step's work. */
  advance(order: CertificateOrder): Promise<OrderStep>;
  /** Best effort, for an order that ends without its certificate: removes what was put up for validation. */
  abandon?(order: CertificateOrder): Promise<void>;
}
