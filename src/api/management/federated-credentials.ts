/** Federated credentials of user-assigned managed identities, as rows: whose tokens are taken for the identity. */
import * as v from 'valibot';
import { Failure } from '../../core/errors.ts';
import { foldCase } from '../../core/names.ts';
import {
  identityId,
  identityType,
  type UserAssignedIdentity,
} from '../../domain/resources/user-assigned-identity-store.ts';
import { federatedOf } from '../../identity/applications.ts';
import { federatedNamed, putFederated, removeFederated } from '../../identity/federated-credentials.ts';
import type { ClientCredential } from '../../identity/principals.ts';
import { objectSchema } from '../vault/wire.ts';
import type { ManagedIdentityDeps } from './managed-identity.ts';
import { resourceNotFound } from './not-found.ts';
import {
  type ManagementCall,
  type ManagementReply,
  type ManagementRoute,
  managementRoute,
  type PathParameters,
} from './route.ts';
import { identityPath, identityPlace } from './user-assigned-identities.ts';
import { listReply } from './wire.ts';

const text = v.string('It must be text.');
const credentialSchema = objectSchema({
  properties: objectSchema({
    issuer: text,
    subject: v.nullish(text),
    audiences: v.array(text, 'It must be a list.'),
    claimsMatchingExpression: v.nullish(v.unknown()),
  }),
});

const path = `${identityPath}/federatedIdentityCredentials`;
const type = `${identityType}/federatedIdentityCredentials`;
/** Azure's rule of the names of such credentials. */
const validName = /^[A-Za-z0-9][A-Za-z0-9_-]{2,119}$/;

export function federatedCredentialRoutes(deps: ManagedIdentityDeps): readonly ManagementRoute[] {
  const row = {
    path: `${path}/:credentialName`,
    provider: 'Microsoft.ManagedIdentity',
    since: '2022-01-31',
  } as const;
  const read = { ...row, method: 'GET', action: `${type}/read` } as const;
  return [
    managementRoute({
      ...read,
      operation: 'FederatedIdentityCredentials_List',
      audit: 'FederatedCredentialList',
      path,
      handle: (call) => list(deps, call),
    }),
    managementRoute({
      ...read,
      operation: 'FederatedIdentityCredentials_Get',
      audit: 'FederatedCredentialGet',
      async handle({ params }) {
        const identity = await deps.identities.get(identityPlace(params));
        const name = nameOf(params);
        const all = await deps.directory.store.credentialsOf(identity.objectId);
        const credential = federatedNamed(all, name);
        if (credential === undefined) throw resourceNotFound(idOf(identity, name), identity.resourceGroup);
        return reply(200, identity, credential);
      },
    }),
    managementRoute({
      ...row,
      operation: 'FederatedIdentityCredentials_CreateOrUpdate',
      audit: 'FederatedCredentialPut',
      method: 'PUT',
      action: `${type}/write`,
      schema: credentialSchema,
      async handle({ params, body }) {
        const identity = await deps.identities.get(identityPlace(params));
        const input = { ...inputOf(body.properties), name: checkedName(nameOf(params)) };
        const { credential, isNew } = await putFederated(deps.directory, identity.objectId, input);
        return reply(isNew ? 201 : 200, identity, credential);
      },
    }),
    managementRoute({
      ...row,
      operation: 'FederatedIdentityCredentials_Delete',
      audit: 'FederatedCredentialDelete',
      method: 'DELETE',
      action: `${type}/delete`,
      async handle({ params }) {
        const identity = await deps.identities.find(identityPlace(params));
        const { store } = deps.directory;
        const removed =
          identity !== undefined && (await removeFederated(store, identity.objectId, nameOf(params)));
        return { status: removed ? 200 : 204, body: undefined };
      },
    }),
  ];
}

async function list(deps: ManagedIdentityDeps, call: ManagementCall): Promise<ManagementReply> {
  const identity = await deps.identities.get(identityPlace(call.params));
  const all = federatedOf(await deps.directory.store.credentialsOf(identity.objectId));
  const keyOf = (credential: ClientCredential) => foldCase(credential.detail.federated?.name ?? '');
  return listReply(call, {
    list: foldCase(call.path),
    items: all.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1)),
    keyOf,
    wire: (credential) => credentialWire(identity, credential),
  });
}

function nameOf({ credentialName = '' }: PathParameters): string {
  return credentialName;
}

function checkedName(name: string): string {
  if (validName.test(name)) return name;
  throw new Failure(
    'badParameter',
    `The resource name '${name.slice(0, 128)}' is invalid: it has 3 to 120 letters, digits, '-' and '_', and begins with a letter or digit.`,
  );
}

/** An expression in the place of a subject would trust more than what is kept. */
function inputOf({
  issuer,
  subject,
  audiences,
  claimsMatchingExpression,
}: v.InferOutput<typeof credentialSchema>['properties']) {
  if (claimsMatchingExpression !== undefined && claimsMatchingExpression !== null)
    throw new Failure('badParameter', "The property 'claimsMatchingExpression' is not supported.");
  if (subject === undefined || subject === null)
    throw new Failure('badParameter', "The property 'subject' is missing.");
  return { issuer, subject, audiences };
}

function idOf(identity: UserAssignedIdentity, name: string): string {
  return `${identityId(identity)}/federatedIdentityCredentials/${name}`;
}

function reply(status: number, identity: UserAssignedIdentity, credential: ClientCredential) {
  const id = idOf(identity, credential.detail.federated?.name ?? '');
  return { status, body: credentialWire(identity, credential), id };
}

function credentialWire(identity: UserAssignedIdentity, { detail }: ClientCredential): object {
  const { name = '', issuer, subject, audiences } = detail.federated ?? {};
  return { id: idOf(identity, name), name, type, properties: { issuer, subject, audiences } };
}
