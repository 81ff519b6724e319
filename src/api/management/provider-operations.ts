/** What can be done with Microsoft.KeyVault, for those who write roles: the actions with words for people. */
import { dataActions } from '../../authorization/actions.ts';
import { managementActions } from '../../authorization/management-actions.ts';
import { foldCase } from '../../core/names.ts';
import { type ManagementRoute, managementRoute } from './route.ts';

const provider = 'Microsoft.KeyVault';

export function providerOperationRoutes(): readonly ManagementRoute[] {
  const value = operations();
  return [
    managementRoute({
      operation: 'Operations_List',
      audit: 'OperationList',
      method: 'GET',
      path: '/providers/Microsoft.KeyVault/operations',
      provider,
      // Azure shows it to every caller with a token.
      action: undefined,
      handle: async () => ({ status: 200, body: { value } }),
    }),
  ];
}

function operations(): readonly object[] {
  const management = managementActions.filter((action) => action.startsWith(`${provider}/`));
  return [
    ...management.map((action) => operationWire(action, false)),
    ...dataActions.map((action) => operationWire(action, true)),
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
  vaults: 'key vaults',
  versions: 'versions of keys',
};

const verbs: Readonly<Record<string, string>> = {
  read: 'View',
  write: 'Create or change',
  delete: 'Delete',
};

function operationWire(name: string, isDataAction: boolean): object {
  const parts = name.split('/').slice(1);
  const isAction = parts.at(-1) === 'action';
  const verb = (isAction ? parts.at(-2) : parts.at(-1)) ?? '';
  const of = parts.slice(0, isAction ? -2 : -1).at(-1) ?? '';
  const noun = nouns[foldCase(of)] ?? (of === '' ? 'the provider' : of);
  const operation = `${verbs[verb] ?? spaced(verb)} ${isAction ? `(${noun})` : noun}`;
  return {
    name,
    isDataAction,
    display: {
      provider: 'Microsoft Key Vault',
      resource: capital(noun),
      operation,
      description: isDataAction ? `${operation}, in a key vault` : `${operation}, as resources`,
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
