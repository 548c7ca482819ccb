import type { ItemKind } from "../restore/index.ts";

/** What `--all` takes; apart from the verb, which is loaded when it is called. */
const KINDS: Readonly<Record<ItemKind, true>> = {
  extension: true,
  "foreign server": true,
  "user mapping": true,
  publication: true,
  subscription: true,
  trigger: true,
  rule: true,
  "cron job": true,
  "event trigger": true,
  "foreign data wrapper": true,
  language: true,
};

const isKind = (text: string): text is ItemKind => Object.hasOwn(KINDS, text);

export const RELEASE_KINDS: readonly ItemKind[] = Object.keys(KINDS).filter(isKind);
