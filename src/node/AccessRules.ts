/**
 * Who may call what, from the mesh's settings to the request threads. A version is read once; what
 * this node does not understand of a newer one's lets nobody through, and is told.
 */
import { Effect, type Scope } from "effect"
import type { AccessRule, AccessSetting } from "../model/Access.ts"
import { atHome } from "../model/CallerPattern.ts"
import type { Log } from "../model/Log.ts"
import type { MeshId } from "../model/Names.ts"
import type { SettingInForce } from "../model/Setting.ts"
import { type ReadAccess, readAccess } from "../schema/AccessSchema.ts"
import type { MeshSettings } from "./MeshSettings.ts"

export interface AccessRulesOptions {
  /** Our own: rules may name it, and callers of it do not. */
  readonly mesh: MeshId
  readonly log: Log
  /** Called when other rules hold. */
  readonly tell: (settings: ReadonlyArray<AccessSetting>) => void
}

/** Tells what holds, at once and whenever that changes. */
export const followAccessRules = (
  settings: Pick<MeshSettings, "subscribe">,
  options: AccessRulesOptions
): Effect.Effect<AccessRules, never, Scope.Scope> =>
  Effect.gen(function* () {
    const rules = new AccessRules(options)
    yield* Effect.acquireRelease(
      Effect.sync(() => settings.subscribe("access", (ofKind) => rules.follow(ofKind))),
      (stop) => Effect.sync(stop)
    )
    return rules
  })

export class AccessRules {
  readonly #options: AccessRulesOptions
  #read = new Map<SettingInForce["body"], ReadAccess>()
  #current: ReadonlyArray<AccessSetting> = []

  constructor(options: AccessRulesOptions) {
    this.#options = options
  }

  /** What holds, in the order of the settings' names. */
  get current(): ReadonlyArray<AccessSetting> {
    return this.#current
  }

  /** All settings of this kind. */
  follow(ofKind: ReadonlyMap<string, SettingInForce>): void {
    const read = new Map<SettingInForce["body"], ReadAccess>()
    for (const { body, name } of ofKind.values()) {
      read.set(body, this.#read.get(body) ?? this.#readNew(name, body))
    }
    this.#read = read
    this.#current = Array.from(read.values())
      .flatMap(({ setting }) => (setting === undefined ? [] : [setting]))
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    this.#options.tell(this.#current)
  }

  #readNew(name: string, body: SettingInForce["body"]): ReadAccess {
    const { log, mesh } = this.#options
    const read = readAccess(name, body)
    if (!read.whole) {
      log(
        "warning",
        read.setting === undefined
          ? `access rules ${name} were written by a newer node, and this one cannot read whom they are about: they hold for nobody here`
          : `access rules ${name} were written by a newer node; what this one does not understand of them lets nobody through`
      )
    }
    const { setting } = read
    return setting === undefined ? read : { ...read, setting: ownNames(setting, mesh) }
  }
}

const ownNames = (setting: AccessSetting, mesh: MeshId): AccessSetting => {
  const home = (rule: AccessRule): AccessRule => ({
    ...rule,
    from: rule.from.map((one) => atHome(one, mesh))
  })
  return { ...setting, allow: setting.allow.map(home), deny: setting.deny.map(home) }
}
