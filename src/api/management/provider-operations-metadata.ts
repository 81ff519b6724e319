/** What each provider can be asked to do, for those who write roles: made from the lists of actions. */
import { dataActions } from '../../authorization/actions.ts';
import { managementActions } from '../../authorization/management-actions.ts';
import { foldCase } from '../../core/names.ts';

interface Operation {
  readonly action: string;
  readonly isDataAction: boolean;
}

const operations: readonly Operation[] = [
  ...managementActions.map((action) => ({ action, isDataAction: false })),
  ...dataActions.map((action) => ({ action, isDataAction: true })),
];

const entries = new Map(
  [...new Set(operations.map(({ action }) => providerOf(action)))].map((provider) => [
    foldCase(provider),
    wire(
      provider,
      operations.filter(({ action }) => providerOf(action) === provider),
    ),
  ]),
);

/** One entry for each provider, as `az provider operation list` shows it. */
export const providerOperations: readonly object[] = [...entries.values()];

/** The entry of one provider, named in any case; undefined for one that is not served. */
export function providerOperationsOf(name: string): object | undefined {
  return entries.get(foldCase(name));
}

function providerOf(action: string): string {
  return action.slice(0, action.indexOf('/'));
}

/** `vaults/keys` of `Microsoft.KeyVault/vaults/keys/read`, and of `…/keys/sign/action`. */
function resourceTypeOf(action: string): string {
  return action.replace(/^[^/]+\//, '').replace(/\/?[^/]+(?:\/action)?$/, '');
}

function wire(provider: string, all: readonly Operation[]): object {
  const types = new Set(all.map(({ action }) => resourceTypeOf(action)).filter((type) => type !== ''));
  const of = (type: string) =>
    all.filter(({ action }) => resourceTypeOf(action) === type).map((operation) => operationWire(operation));
  return {
    id: `/providers/Microsoft.Authorization/providerOperations/${provider}`,
    type: 'Microsoft.Authorization/providerOperations',
    name: provider,
    displayName: provider,
    resourceTypes: [...types].map((type) => ({ name: type, displayName: type, operations: of(type) })),
    operations: of(''),
  };
}

function operationWire({ action, isDataAction }: Operation): object {
  const words = action.replace(/^[^/]+\//, '').replace(/\/action$/, '');
  return {
    name: action,
    displayName: words,
    description: words,
    origin: null,
    properties: null,
    isDataAction,
  };
}
