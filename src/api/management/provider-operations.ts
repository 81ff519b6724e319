/** What can be done with a provider's resources, for those who write roles: the actions with words for people. */
import { dataActions } from '../../authorization/actions.ts';
import { managementActions } from '../../authorization/management-actions.ts';
import { foldCase } from '../../core/names.ts';
import { type ManagementRoute, managementRoute } from './route.ts';

/** The providers that tell, as people say them. */
const providers = {
  'Microsoft.KeyVault': 'Microsoft Key Vault',
  'Microsoft.ManagedIdentity': 'Microsoft Managed Identity',
} as const;
type Provider = keyof typeof providers;

export function providerOperationRow(operation: string, provider: Provider): ManagementRoute {
  const value = operations(provider);
  return managementRoute({
    operation,
    audit: 'OperationList',
    method: 'GET',
    path: `/providers/${provider}/operations`,
    provider,
    // Azure shows it to every caller with a token.
    action: undefined,
    handle: async () => ({ status: 200, body: { value } }),
  });
}

function operations(provider: Provider): readonly object[] {
  const isIts = (action: string) => action.startsWith(`${provider}/`);
  return [
    ...managementActions.filter(isIts).map((action) => operationWire(provider, action)),
    ...dataActions.filter(isIts).map((action) => operationWire(provider, action, 'in a key vault')),
  ];
}

/** The last nouns of the actions' paths, as people say them. */
const nouns: Readonly<Record<string, string>> = {
  accesspolicies: 'access policies of a key vault',
  certificatecas: 'issuers of certificates',
  certificatecontacts: 'contacts for certificates',
  certificates: 'certificates',
  checkmhsmnameavailability: 'availability of a name for a managed HSM pool',
  checknameavailability: 'availability of a name for a key vault',
  deletedmanagedhsms: 'deleted managed HSM pools',
  deletedvaults: 'deleted key vaults',
  federatedidentitycredentials: 'federated credentials of an identity',
  keyrotationpolicies: 'rotation policies of keys',
  keys: 'keys',
  managedhsmoperationresults: 'results of operations on managed HSM pools',
  managedhsms: 'managed HSM pools',
  networksecurityperimeterconfigurations: 'network security perimeter configurations',
  operationresults: 'results of operations',
  operations: 'operations of the provider',
  privateendpointconnections: 'private endpoint connections',
  privatelinkresources: 'private link resources',
  secrets: 'secrets',
  userassignedidentities: 'user-assigned identities',
  vaults: 'key vaults',
  versions: 'versions of keys',
};

const verbs: Readonly<Record<string, string>> = {
  read: 'View',
  write: 'Create or change',
  delete: 'Delete',
};

/** `dataIn`: what the data of a data action is in. */
function operationWire(provider: Provider, name: string, dataIn?: string): object {
  const parts = name.split('/').slice(1);
  const isAction = parts.at(-1) === 'action';
  const verb = (isAction ? parts.at(-2) : parts.at(-1)) ?? '';
  const of = parts.slice(0, isAction ? -2 : -1).at(-1) ?? '';
  const noun = nouns[foldCase(of)] ?? (of === '' ? 'the provider' : of);
  const operation = `${verbs[verb] ?? spaced(verb)} ${isAction ? `(${noun})` : noun}`;
  return {
    name,
    isDataAction: dataIn !== undefined,
    display: {
      provider: providers[provider],
      resource: capital(noun),
      operation,
      description: `${operation}, ${dataIn ?? 'as resources'}`,
    },
  };
}

/** `Join perimeter` of `joinPerimeter`. */
function spaced(verb: string): string {
  return capital(verb.replace(/(?<=[a-z])[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`));
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
