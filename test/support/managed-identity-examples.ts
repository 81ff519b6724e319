/** The examples of the resource provider Microsoft.ManagedIdentity; see `management-examples.ts`. */
import type { ManagementCaller } from './management.ts';
import type { Example, Place } from './management-examples.ts';

const version = '?api-version=2024-11-30';
const provider = 'providers/Microsoft.ManagedIdentity';
const sub = ({ subscriptionId }: Place) => `/subscriptions/${subscriptionId}`;
const all = (at: Place) => `${sub(at)}/resourceGroups/default/${provider}/userAssignedIdentities`;
/** One that no other example has made, or will. */
const one = (at: Place) => `${all(at)}/${at.id}`;
const body = () => ({ location: 'local' });
const make = (call: ManagementCaller, at: Place) => call('PUT', `${one(at)}${version}`, body());

const credentials = (at: Place) => `${one(at)}/federatedIdentityCredentials`;
const credential = (at: Place) => `${credentials(at)}/trusted`;
const credentialBody = () => ({
  properties: { issuer: 'https://issuer.example', subject: 's', audiences: ['api://AzureADTokenExchange'] },
});
const makeCredential = async (call: ManagementCaller, at: Place) => {
  await make(call, at);
  await call('PUT', `${credential(at)}${version}`, credentialBody());
};

export const managedIdentityExamples: Readonly<Record<string, Example>> = {
  UserAssignedIdentities_CreateOrUpdate: { path: one, body, status: 201, audit: 'UserAssignedIdentityPut' },
  UserAssignedIdentities_Update: {
    path: one,
    prepare: make,
    body: () => ({ tags: {} }),
    audit: 'UserAssignedIdentityPatch',
  },
  UserAssignedIdentities_Delete: { path: one, prepare: make, audit: 'UserAssignedIdentityDelete' },
  UserAssignedIdentities_Get: { path: one, prepare: make, audit: 'UserAssignedIdentityGet' },
  UserAssignedIdentities_ListByResourceGroup: { path: all, audit: 'UserAssignedIdentityList' },
  UserAssignedIdentities_ListBySubscription: {
    path: (at) => `${sub(at)}/${provider}/userAssignedIdentities`,
    audit: 'UserAssignedIdentityList',
  },
  FederatedIdentityCredentials_List: { path: credentials, prepare: make, audit: 'FederatedCredentialList' },
  FederatedIdentityCredentials_Get: {
    path: credential,
    prepare: makeCredential,
    audit: 'FederatedCredentialGet',
  },
  FederatedIdentityCredentials_CreateOrUpdate: {
    path: credential,
    prepare: make,
    body: credentialBody,
    status: 201,
    audit: 'FederatedCredentialPut',
  },
  FederatedIdentityCredentials_Delete: {
    path: credential,
    prepare: makeCredential,
    audit: 'FederatedCredentialDelete',
  },
  ManagedIdentityOperations_List: {
    path: () => `/${provider}/operations`,
    audit: 'OperationList',
    stranger: 200,
  },
};
