/**
 * Results of long-running operations. The work is done before its answer leaves, so that whoever asks for a result
 * finds it finished; an id holds what the result says, and nothing that would be worth forging.
 */
import { Failure } from '../../core/errors.ts';
import { foldCase } from '../../core/names.ts';
import { type ManagementCall, type ManagementRoute, managementRoute } from './route.ts';

interface Operation {
  /** Milliseconds since 1970. */
  readonly started: number;
  readonly subscriptionId: string;
}

type Called = Pick<ManagementCall, 'origin' | 'apiVersion'>;

/** The headers of a 202; `location` is that of a resource provider's operation, undefined for ARM's own. */
export function acceptedHeaders(
  { origin, apiVersion }: Called,
  operation: Operation & { readonly location?: string },
): readonly (readonly [string, string])[] {
  const { started, subscriptionId, location } = operation;
  const id = Buffer.from(JSON.stringify({ v: 1, started, subscriptionId })).toString('base64url');
  const place =
    location === undefined
      ? 'operationresults'
      : `providers/Microsoft.KeyVault/locations/${encodeURIComponent(location)}/operationResults`;
  const url = `${origin}/subscriptions/${subscriptionId}/${place}/${id}?api-version=${encodeURIComponent(apiVersion)}`;
  return [
    ['Location', url],
    ['Retry-After', '0'],
  ];
}

export function operationResultRoutes(): readonly ManagementRoute[] {
  return [
    managementRoute({
      operation: 'OperationResults_Get',
      audit: 'OperationResultGet',
      method: 'GET',
      path: '/subscriptions/:subscriptionId/operationresults/:operationId',
      provider: 'Microsoft.Resources',
      action: undefined,
      async handle(call) {
        parseId(call);
        return { status: 200, body: undefined };
      },
    }),
    managementRoute({
      operation: 'KeyVaultOperationResults_Get',
      audit: 'OperationResultGet',
      method: 'GET',
      path: '/subscriptions/:subscriptionId/providers/Microsoft.KeyVault/locations/:location/operationResults/:operationId',
      provider: 'Microsoft.KeyVault',
      action: undefined,
      async handle(call) {
        const at = timeWire(parseId(call).started);
        const body = { createdDateTime: at, lastActionDateTime: at, status: 'Succeeded' };
        return { status: 200, body };
      },
    }),
  ];
}

function parseId({ params }: ManagementCall): Operation {
  const text = params.operationId ?? '';
  try {
    const parsed: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
    if (isOperation(parsed) && parsed.subscriptionId === foldCase(params.subscriptionId ?? '')) return parsed;
  } catch {
    // Falls through to the one refusal.
  }
  throw new Failure('notFound', 'The operation result does not exist.');
}

const latest = 8.64e15;

function isOperation(value: unknown): value is Operation {
  if (typeof value !== 'object' || value === null) return false;
  const { started, subscriptionId } = value as { started?: unknown; subscriptionId?: unknown };
  const isTime = Number.isSafeInteger(started) && Math.abs(Number(started)) <= latest;
  return isTime && typeof subscriptionId === 'string';
}

/** `2024-09-16 19:22:17Z`. */
function timeWire(ms: number): string {
  return new Date(ms).toISOString().replace('T', ' ').replace(/\.\d+/, '');
}
