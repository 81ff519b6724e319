/**
 * Certificates, their pending operations, issuers and contacts as the API sees them: what is shown, what a caller
 * chooses, and the operations. Times are Unix seconds.
 */
import type { Page, PageRequest } from '../../core/paging.ts';
import type { SecretBytes } from '../../core/secret-bytes.ts';
import type { VaultGrant } from '../vaults/vault.ts';
import type { Deletion, ObjectOperations } from '../versioned/object-operations.ts';
import type { ObjectVersion } from '../versioned/object-store.ts';
import type { CertificatePolicy, PolicyInput, StoredPolicy } from './certificate-policy.ts';
import type { AdministratorDetails, OrganizationDetails } from './issuer-provider.ts';

export interface ShownCertificate {
  readonly name: string;
  readonly version: ObjectVersion;
  /** Undefined while the first version is pending. */
  readonly x5t: string | undefined;
  /** DER in base64; undefined with `x5t`. */
  readonly cer: string | undefined;
  readonly subject: string;
  /** In bundles of the current version only. */
  readonly policy: ShownPolicy | undefined;
  readonly hasPending: boolean;
  readonly preserveCertOrder: boolean;
  readonly deleted: Deletion | undefined;
}

/** A policy with its times and the name of its certificate. */
export interface ShownPolicy extends StoredPolicy {
  readonly name: string;
}

export interface PendingOperation {
  readonly name: string;
  readonly issuer: CertificatePolicy['issuer'];
  /** PKCS#10 DER in base64. */
  readonly csr: string;
  readonly cancellationRequested: boolean;
  readonly status: 'inProgress' | 'completed' | 'cancelled' | 'failed';
  readonly statusDetails: string | undefined;
  readonly error: { readonly code: string; readonly message: string } | undefined;
  readonly requestId: string;
  readonly preserveCertOrder: boolean;
}

/** What a caller chooses about a certificate that is made; its dates are decided by X.509, whatever a caller says. */
export interface CertificateChoices {
  readonly enabled: boolean | undefined;
  readonly tags: Readonly<Record<string, string>> | undefined;
  /** Required for a name's first version. */
  readonly policy: PolicyInput | undefined;
  readonly preserveCertOrder: boolean | undefined;
}

export type ListChoices = PageRequest & {
  /** Whether names whose first version is pending are listed too. */
  readonly includePending: boolean;
};

export interface Certificates extends Omit<ObjectOperations<ShownCertificate>, 'list' | 'listDeleted'> {
  list(grant: VaultGrant, request: ListChoices): Promise<Page<ShownCertificate>>;
  listDeleted(grant: VaultGrant, request: ListChoices): Promise<Page<ShownCertificate>>;
  create(grant: VaultGrant, choices: CertificateChoices): Promise<PendingOperation>;
  import(
    grant: VaultGrant,
    input: CertificateChoices & { readonly value: SecretBytes; readonly password: string | undefined },
  ): Promise<ShownCertificate>;
  /** What `get` answers for a version that is in memory, without waiting; undefined says nothing about others. */
  known(grant: VaultGrant, version: string | undefined): ShownCertificate | undefined;
  /** A disabled or expired certificate is shown too. */
  get(grant: VaultGrant, version: string | undefined): Promise<ShownCertificate>;
  update(
    grant: VaultGrant,
    input: Pick<CertificateChoices, 'enabled' | 'tags' | 'policy'> & { readonly version: string | undefined },
  ): Promise<ShownCertificate>;
  getPolicy(grant: VaultGrant): Promise<ShownPolicy>;
  /** Members that are not given stay as they are. */
  updatePolicy(grant: VaultGrant, input: PolicyInput): Promise<ShownPolicy>;
}

export interface PendingCertificates {
  get(grant: VaultGrant): Promise<PendingOperation>;
  /** `requested` false takes a request to cancel back. */
  cancel(grant: VaultGrant, requested: boolean): Promise<PendingOperation>;
  delete(grant: VaultGrant): Promise<PendingOperation>;
  /** `x5c`: DER certificates, or one PKCS#7, in base64. */
  merge(
    grant: VaultGrant,
    input: Pick<CertificateChoices, 'enabled' | 'tags'> & { readonly x5c: readonly string[] },
  ): Promise<ShownCertificate>;
}

/** An issuer object, without what is secret in it. */
export interface ShownIssuer {
  readonly name: string;
  readonly provider: string;
  readonly enabled: boolean;
  readonly accountId: string | undefined;
  readonly organization: OrganizationDetails | undefined;
  readonly created: number;
  readonly updated: number;
}

/** What a caller says of an issuer; undefined is not given. */
export interface IssuerInput {
  readonly provider: string | undefined;
  readonly enabled: boolean | undefined;
  readonly accountId: string | undefined;
  readonly password: SecretBytes | undefined;
  readonly organization:
    | {
        readonly id: string | undefined;
        readonly adminDetails: readonly AdministratorDetails[] | undefined;
      }
    | undefined;
}

export interface Issuers {
  list(grant: VaultGrant, request: PageRequest): Promise<Page<ShownIssuer>>;
  get(grant: VaultGrant): Promise<ShownIssuer>;
  /** Puts it in the place of what was there. */
  set(grant: VaultGrant, input: IssuerInput & { readonly provider: string }): Promise<ShownIssuer>;
  /** Members that are not given stay as they are. */
  update(grant: VaultGrant, input: IssuerInput): Promise<ShownIssuer>;
  delete(grant: VaultGrant): Promise<ShownIssuer>;
}

/** Whom to write to about the certificates of a vault. */
export interface Contact {
  readonly email?: string | undefined;
  readonly name?: string | undefined;
  readonly phone?: string | undefined;
}

export interface Contacts {
  get(grant: VaultGrant): Promise<readonly Contact[]>;
  set(grant: VaultGrant, contacts: readonly Contact[]): Promise<readonly Contact[]>;
  /** Answers what was there. */
  delete(grant: VaultGrant): Promise<readonly Contact[]>;
}
