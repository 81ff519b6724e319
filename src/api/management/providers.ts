/**
 * Resource providers. All are registered in every subscription, and registering one changes nothing. Of most there is
 * no more here than the name: Terraform's azurerm provider will not start where one of them is not registered.
 */
import { Failure } from '../../core/errors.ts';
import { foldCase } from '../../core/names.ts';
import { locations } from './locations.ts';
import { type ManagementCall, type ManagementReply, type ManagementRoute, managementRoute } from './route.ts';
import { stableVersions } from './versions.ts';
import { listReply } from './wire.ts';

/** What is served, with the types that `az resource` looks api-versions up for. */
const served: Readonly<Record<keyof typeof stableVersions, readonly string[]>> = {
  'Microsoft.Authorization': [
    'roleAssignments',
    'roleDefinitions',
    'classicAdministrators',
    'permissions',
    'denyAssignments',
    'locks',
    'operations',
    'providerOperations',
  ],
  'Microsoft.KeyVault': [
    'vaults',
    'vaults/secrets',
    'vaults/accessPolicies',
    'vaults/keys',
    'vaults/keys/versions',
    'vaults/privateEndpointConnections',
    'operations',
    'checkNameAvailability',
    'checkMhsmNameAvailability',
    'deletedVaults',
    'locations',
    'locations/deletedVaults',
    'locations/operationResults',
    'managedHSMs',
    'deletedManagedHSMs',
    'locations/deletedManagedHSMs',
  ],
  'Microsoft.ManagedIdentity': [
    'userAssignedIdentities',
    'userAssignedIdentities/federatedIdentityCredentials',
    'operations',
  ],
  'Microsoft.Management': ['managementGroups'],
  'Microsoft.Resources': [
    'tenants',
    'locations',
    'providers',
    'resourceGroups',
    'resources',
    'subscriptions',
    'subscriptions/resourceGroups',
    'subscriptions/resources',
    'subscriptions/providers',
    'subscriptions/locations',
    'subscriptions/tagNames',
    'subscriptions/operationResults',
    'tags',
  ],
};

/** The providers of resources that are somewhere, and their types that have tags. */
const placed: readonly string[] = ['Microsoft.KeyVault', 'Microsoft.ManagedIdentity'];
const tagged: readonly string[] = ['vaults', 'userAssignedIdentities'];

/** The namespaces that azurerm asks for, apart from those above. */
const names = `AVS AlertsManagement ApiManagement AppConfiguration AppPlatform Automation Blueprint BotService Cache Cdn
  CognitiveServices Compute ContainerInstance ContainerRegistry ContainerService CostManagement CustomProviders
  DBforMariaDB DBforMySQL DBforPostgreSQL Dashboard DataFactory DataLakeAnalytics DataLakeStore DataMigration
  DataProtection Databricks DesktopVirtualization DevTestLab Devices DocumentDB EventGrid EventHub GuestConfiguration
  HDInsight HealthcareApis IoTCentral Kusto Logic MachineLearningServices Maintenance ManagedServices
  Maps MarketplaceOrdering Media MixedReality Monitor Network NotificationHubs OperationalInsights
  OperationsManagement PolicyInsights PowerBIDedicated RecoveryServices Relay Search Security SecurityInsights
  ServiceBus ServiceFabric SignalRService Sql Storage StreamAnalytics TimeSeriesInsights Web`;

const namespaces: readonly string[] = [
  ...Object.keys(served),
  ...names.split(/\s+/).map((name) => `Microsoft.${name}`),
  'microsoft.insights',
].sort((a, b) => (foldCase(a) < foldCase(b) ? -1 : 1));

const provider = 'Microsoft.Resources';
const read = 'Microsoft.Resources/subscriptions/providers/read';
const ofSubscription = '/subscriptions/:subscriptionId/providers';

export function providerRoutes(): readonly ManagementRoute[] {
  return [...listRows, ...subscriptionRows, ...['register', 'unregister'].map(registrationRow)];
}

const listRows: readonly ManagementRoute[] = [
  managementRoute({
    operation: 'Providers_ListAtTenantScope',
    audit: 'ProviderList',
    method: 'GET',
    path: '/providers',
    provider,
    action: undefined,
    handle: async (call) => list(call, ''),
  }),
  managementRoute({
    operation: 'Providers_GetAtTenantScope',
    audit: 'ProviderGet',
    method: 'GET',
    path: '/providers/:namespace',
    provider,
    action: undefined,
    handle: async (call) => get(call, ''),
  }),
];

const subscriptionRows: readonly ManagementRoute[] = [
  managementRoute({
    operation: 'Providers_List',
    audit: 'ProviderList',
    method: 'GET',
    path: ofSubscription,
    provider,
    action: read,
    handle: async (call) => list(call, `/subscriptions/${call.params.subscriptionId ?? ''}`),
  }),
  managementRoute({
    operation: 'Providers_Get',
    audit: 'ProviderGet',
    method: 'GET',
    path: `${ofSubscription}/:namespace`,
    provider,
    action: read,
    handle: async (call) => get(call, `/subscriptions/${call.params.subscriptionId ?? ''}`),
  }),
];

/**
 * Answers that the provider is registered, which it is before and after. Each has an action of its own, such as
 * `Microsoft.KeyVault/register/action`, so that it is asked for once the provider is known.
 */
function registrationRow(verb: string): ManagementRoute {
  const name = verb === 'register' ? 'Register' : 'Unregister';
  return managementRoute({
    operation: `Providers_${name}`,
    audit: `Provider${name}`,
    method: 'POST',
    path: `${ofSubscription}/:namespace/${verb}`,
    provider,
    action: undefined,
    async handle(call) {
      const subscription = `/subscriptions/${call.params.subscriptionId ?? ''}`;
      call.authorize(`${namespaceOf(call)}/${verb}/action`, subscription);
      return get(call, subscription);
    },
  });
}

function list(call: ManagementCall, parent: string): ManagementReply {
  const items = [...namespaces];
  return listReply(call, { list: 'providers', items, keyOf: foldCase, wire: (name) => wire(parent, name) });
}

function get(call: ManagementCall, parent: string): ManagementReply {
  const namespace = namespaceOf(call);
  return { status: 200, body: wire(parent, namespace), id: `${parent}/providers/${namespace}` };
}

/** The provider that the path names, as it is written; throws for one that there is not. */
function namespaceOf({ params }: ManagementCall): string {
  const asked = params.namespace ?? '';
  const found = namespaces.find((name) => foldCase(name) === foldCase(asked));
  if (found === undefined)
    throw new Failure(
      'resourceNamespaceNotFound',
      `The resource namespace '${asked.slice(0, 64)}' is invalid.`,
    );
  return found;
}

function wire(parent: string, namespace: string): object {
  return {
    id: `${parent}/providers/${namespace}`,
    namespace,
    registrationPolicy: 'RegistrationRequired',
    resourceTypes: typesOf(namespace),
    registrationState: 'Registered',
  };
}

function typesOf(namespace: string): readonly object[] {
  const isServed = (name: string): name is keyof typeof stableVersions => Object.hasOwn(served, name);
  if (!isServed(namespace)) return [];
  const apiVersions = stableVersions[namespace].toReversed();
  const places = locations.map(([, displayName]) => displayName);
  return served[namespace].map((resourceType) => ({
    resourceType,
    locations: placed.includes(namespace) ? places : [],
    apiVersions,
    capabilities: tagged.includes(resourceType) ? 'SupportsTags, SupportsLocation' : 'None',
  }));
}
