/** A request that succeeds for each operation on certificates, and what its audit record must say. */
import { chainFor, pemFile, quickBody } from '../support/certificate-clients.ts';
import { createIssuer } from '../support/certificate-files.ts';
import type { VaultCaller } from '../support/vault-rest.ts';

/** One entry for each row: a request that succeeds once `prepare` has run, and what its audit record must say. */
export interface Example {
  readonly path: string;
  readonly prepare?: (call: VaultCaller) => Promise<unknown>;
  readonly body?: (call: VaultCaller) => Promise<object>;
  readonly status?: number;
  readonly audit: string;
}

/** Keys and secrets of the suite have other names: a certificate makes one of each. */
const make = (name: string) => async (call: VaultCaller) =>
  call('POST', `/certificates/${name}/create`, quickBody);
const makeAndDelete = (name: string) => async (call: VaultCaller) => {
  await make(name)(call);
  await call('DELETE', `/certificates/${name}`);
};
/** One that waits for its certificate. */
const ask = (name: string) => async (call: VaultCaller) => {
  const policy = { ...quickBody.policy, issuer: { name: 'Unknown' } };
  return call('POST', `/certificates/${name}/create`, { policy });
};

const setIssuer = (name: string) => async (call: VaultCaller) =>
  call('PUT', `/certificates/issuers/${name}`, { provider: 'Test' });
const contacts = { contacts: [{ email: 'a@example.com' }] };
const setContacts = async (call: VaultCaller) => call('PUT', '/certificates/contacts', contacts);

const certificates: Readonly<Record<string, Example>> = {
  CreateCertificate: {
    path: '/certificates/cert-create/create',
    body: async () => quickBody,
    status: 202,
    audit: 'CertificateCreate',
  },
  ImportCertificate: {
    path: '/certificates/cert-import/import',
    body: async () => ({
      value: await pemFile(await createIssuer()),
      policy: { secret_props: { contentType: 'application/x-pem-file' } },
    }),
    audit: 'CertificateImport',
  },
  GetCertificate: { path: '/certificates/cert-get', prepare: make('cert-get'), audit: 'CertificateGet' },
  UpdateCertificate: {
    path: '/certificates/cert-update',
    prepare: make('cert-update'),
    body: async () => ({ tags: {} }),
    audit: 'CertificateUpdate',
  },
  GetCertificatePolicy: {
    path: '/certificates/cert-policy/policy',
    prepare: make('cert-policy'),
    audit: 'CertificatePolicyGet',
  },
  UpdateCertificatePolicy: {
    path: '/certificates/cert-policy/policy',
    prepare: make('cert-policy'),
    body: async () => ({ x509_props: { validity_months: 24 } }),
    audit: 'CertificatePolicyUpdate',
  },
  DeleteCertificate: {
    path: '/certificates/cert-delete',
    prepare: make('cert-delete'),
    audit: 'CertificateDelete',
  },
  BackupCertificate: {
    path: '/certificates/cert-backup/backup',
    prepare: make('cert-backup'),
    audit: 'CertificateBackup',
  },
  RestoreCertificate: {
    path: '/certificates/restore',
    prepare: make('cert-restored'),
    body: async (call) => {
      const { value } = (await call('POST', '/certificates/cert-restored/backup')).json;
      await call('DELETE', '/certificates/cert-restored');
      await call('DELETE', '/deletedcertificates/cert-restored');
      return { value };
    },
    audit: 'CertificateRestore',
  },
  GetCertificates: { path: '/certificates', audit: 'CertificateList' },
  GetCertificateVersions: {
    path: '/certificates/cert-list/versions',
    prepare: make('cert-list'),
    audit: 'CertificateListVersions',
  },
  GetDeletedCertificates: { path: '/deletedcertificates', audit: 'CertificateListDeleted' },
  GetDeletedCertificate: {
    path: '/deletedcertificates/cert-gone',
    prepare: makeAndDelete('cert-gone'),
    audit: 'CertificateGetDeleted',
  },
  PurgeDeletedCertificate: {
    path: '/deletedcertificates/cert-purge',
    prepare: makeAndDelete('cert-purge'),
    status: 204,
    audit: 'CertificatePurge',
  },
  RecoverDeletedCertificate: {
    path: '/deletedcertificates/cert-recover/recover',
    prepare: makeAndDelete('cert-recover'),
    audit: 'CertificateRecover',
  },
};

const pending: Readonly<Record<string, Example>> = {
  GetCertificateOperation: {
    path: '/certificates/asked/pending',
    prepare: ask('asked'),
    audit: 'CertificatePendingGet',
  },
  UpdateCertificateOperation: {
    path: '/certificates/cancelled/pending',
    prepare: ask('cancelled'),
    body: async () => ({ cancellation_requested: true }),
    audit: 'CertificatePendingUpdate',
  },
  DeleteCertificateOperation: {
    path: '/certificates/withdrawn/pending',
    prepare: ask('withdrawn'),
    audit: 'CertificatePendingDelete',
  },
  MergeCertificate: {
    path: '/certificates/merged/pending/merge',
    body: async (call) => {
      const { csr } = (await ask('merged')(call)).json;
      return { x5c: await chainFor(await createIssuer(), csr) };
    },
    status: 201,
    audit: 'CertificatePendingMerge',
  },
};

const issuers: Readonly<Record<string, Example>> = {
  GetCertificateIssuers: { path: '/certificates/issuers', audit: 'CertificateIssuersList' },
  GetCertificateIssuer: {
    path: '/certificates/issuers/get',
    prepare: setIssuer('get'),
    audit: 'CertificateIssuerGet',
  },
  SetCertificateIssuer: {
    path: '/certificates/issuers/set',
    body: async () => ({ provider: 'Test' }),
    audit: 'CertificateIssuerSet',
  },
  UpdateCertificateIssuer: {
    path: '/certificates/issuers/update',
    prepare: setIssuer('update'),
    body: async () => ({}),
    audit: 'CertificateIssuerUpdate',
  },
  DeleteCertificateIssuer: {
    path: '/certificates/issuers/delete',
    prepare: setIssuer('delete'),
    audit: 'CertificateIssuerDelete',
  },
  GetCertificateContacts: {
    path: '/certificates/contacts',
    prepare: setContacts,
    audit: 'CertificateContactsGet',
  },
  SetCertificateContacts: {
    path: '/certificates/contacts',
    body: async () => contacts,
    audit: 'CertificateContactsSet',
  },
  DeleteCertificateContacts: {
    path: '/certificates/contacts',
    prepare: setContacts,
    audit: 'CertificateContactsDelete',
  },
};

export const certificateExamples = { ...certificates, ...pending, ...issuers };
