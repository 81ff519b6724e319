/** The headers of every answer, as recorded from Azure (ERRORS §8), as name and value in turn. */
import { isGuid } from '../core/names.ts';
import { remember } from '../core/remember.ts';
import type { Exchange } from './exchange.ts';

/**
 * The build of Azure's service whose recorded behaviour the data plane follows. Clients show it and nothing more;
 * Strongroom's own version is in `strongroom version`.
 */
const serviceVersion = '1.9.3449.1';

const usual = { longest: 64, most: 1024 };

/** Makes the function that lists the headers of an answer of the data plane. */
export function createVaultHeaders(): (exchange: Exchange) => string[] {
  const networkOf = remember(usual, networkInfo);
  const compact = remember(usual, (guid) => guid.replaceAll('-', ''));
  return (exchange) => {
    const headers = [
      'Cache-Control',
      'no-cache',
      'Pragma',
      'no-cache',
      'Expires',
      '-1',
      'Strict-Transport-Security',
      'max-age=31536000;includeSubDomains',
      'X-Content-Type-Options',
      'nosniff',
      'x-ms-keyvault-service-version',
      serviceVersion,
      'x-ms-keyvault-region',
      exchange.region,
      'x-ms-keyvault-network-info',
      networkOf(exchange.clientAddress),
      'x-ms-request-id',
      exchange.requestId,
    ];
    const { clientRequestId, assignmentId } = exchange;
    if (clientRequestId !== undefined) headers.push('x-ms-client-request-id', clientRequestId);
    if (assignmentId !== undefined) headers.push('x-ms-keyvault-rbac-assignment-id', compact(assignmentId));
    return headers;
  };
}

/** Of every answer that nobody is to keep, outside the data plane, whose form of one of them is another. */
const unkept: readonly string[] = [
  'Pragma',
  'no-cache',
  'Expires',
  '-1',
  'Strict-Transport-Security',
  'max-age=31536000; includeSubDomains',
  'X-Content-Type-Options',
  'nosniff',
];

export function loginHeaders({ requestId, clientRequestId }: Exchange): string[] {
  const headers = ['Cache-Control', 'no-store, no-cache', ...unkept, 'x-ms-request-id', requestId];
  if (clientRequestId !== undefined) headers.push('client-request-id', clientRequestId);
  return headers;
}

/** Graph names requests as the token endpoints do, with one header more. */
export function graphHeaders(exchange: Exchange): string[] {
  return [...loginHeaders(exchange), 'request-id', exchange.requestId];
}

function networkInfo(address: string): string {
  return address.includes(':')
    ? `conn_type=Ipv6;addr=${address};act_addr_fam=InterNetworkV6;`
    : `conn_type=Ipv4;addr=${address};act_addr_fam=InterNetwork;`;
}

/** Makes the function that lists the headers of an answer of the management plane. */
export function createManagementHeaders(): (exchange: Exchange) => string[] {
  return (exchange) => {
    const { requestId, clientRequestId, request } = exchange;
    const correlationId = correlation(request.headers['x-ms-correlation-request-id']) ?? requestId;
    const headers = [
      'Cache-Control',
      'no-cache',
      ...unkept,
      'x-ms-request-id',
      requestId,
      'x-ms-correlation-request-id',
      correlationId,
      'x-ms-routing-request-id',
      `${routedBy}:${compactTime(exchange.started)}:${requestId}`,
    ];
    if (clientRequestId !== undefined) headers.push('x-ms-client-request-id', clientRequestId);
    return headers;
  };
}

/** The place that routed a request: in Azure a region's name. */
const routedBy = 'LOCAL';

function correlation(given: string | string[] | undefined): string | undefined {
  return typeof given === 'string' && isGuid(given) ? given : undefined;
}

/** `20240902T050654Z`. */
function compactTime(ms: number): string {
  return new Date(ms).toISOString().replace(/[-:]|\.\d+/g, '');
}
