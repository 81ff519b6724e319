import pino from 'pino';
import type { Log } from './core/log.ts';

/**
 * The operational log: JSON lines on standard error, through pino, each with `fields`. Errors are written with type,
 * stack and cause.
 */
export function createLog(
  level: 'debug' | 'info' | 'warn' | 'error' | 'silent',
  fields: Readonly<Record<string, unknown>> | null = null,
): Log {
  const logger = pino(
    {
      level,
      base: fields,
      timestamp: pino.stdTimeFunctions.isoTime,
      serializers: { error: pino.stdSerializers.err },
    },
    pino.destination({ fd: 2, sync: true }),
  );
  return {
    debug: (message, fields = {}) => logger.debug(fields, message),
    info: (message, fields = {}) => logger.info(fields, message),
    warn: (message, fields = {}) => logger.warn(fields, message),
    error: (message, fields = {}) => logger.error(fields, message),
  };
}
