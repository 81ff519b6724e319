/** What each provider can be asked to do, for those who write roles: made from the lists of actions. */
import { dataActions } from '../../authorization/actions.ts';
import { managementActions } from '../../authorization/management-actions.ts';
import { foldCase } from '../../core/names.ts';

interface Operation {
  readonly action: string;
  readonly isDataAction: boolean;
}

/** One entry for each provider, as `az provider operation list` shows it. */
export function providerOperations(): readonly object[] {
  const all = operations();
  const providers = new Set(all.map(({ action }) => providerOf(action)));
  return [...providers].map((provider) =>
    wire(
      provider,
      all.filter(({ action }) => providerOf(action) === provider),
    ),
  );
}

/** The entry of one provider, named in any case; undefined for one that is not served. */
export function providerOperationsOf(name: string): object | undefined {
  const all = operations().filter(({ action }) => foldCase(providerOf(action)) === foldCase(name));
  const [first] = all;
  return first === undefined ? undefined : wire(providerOf(first.action), all);
}

function operations(): readonly Operation[] {
  return [
    ...managementActions.map((action) => ({ action, isDataAction: false })),
    ...dataActions.map((action) => ({ action, isDataAction: true })),
  ];
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
