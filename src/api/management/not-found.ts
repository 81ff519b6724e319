import { Failure } from '../../core/errors.ts';

/** A resource that is not there, in the words of Azure's gateway (ERRORS §4). `id` is its ARM id. */
export function resourceNotFound(id: string, resourceGroup: string): Failure {
  const [, path = ''] = /\/providers\/(.*)$/i.exec(id) ?? [];
  return new Failure(
    'resourceNotFound',
    `The Resource '${path.slice(0, 512)}' under resource group '${resourceGroup.slice(0, 128)}' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix`,
  );
}
