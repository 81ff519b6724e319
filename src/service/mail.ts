/** Builds what sends letters, where the settings name a relay. */
import type { Mailer } from '../domain/certificates/notices.ts';
import { createSmtpMailer } from '../mail/smtp.ts';
import type { Tools } from './data.ts';

/** Milliseconds for one letter. */
const timeout = 30_000;

/** Undefined where no relay is configured. */
export function buildMailer({ config, clock }: Tools): Mailer | undefined {
  return config.smtp === undefined ? undefined : createSmtpMailer(config.smtp, { clock, timeout });
}
