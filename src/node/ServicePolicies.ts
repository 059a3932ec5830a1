/**
 * How calls from this node to each service are made resilient, by all who have a say: the config here, the
 * settings of the mesh, and the nodes that offer it. Request threads are told when something else holds. Thin:
 * what comes of the layers is decided in schema/LayeredPolicy.ts.
 */
import { isDeepStrictEqual } from "node:util"
import { Schema } from "effect"
import type { NodeConfig } from "../config/NodeConfig.ts"
import { Catalogue } from "../mesh/catalogue/Catalogue.ts"
import type { CatalogueShape } from "../mesh/catalogue/CatalogueService.ts"
import { isServiceName, type ServiceName } from "../model/Names.ts"
import type { Policy } from "../model/Policy.ts"
import type { SettingInForce } from "../model/Setting.ts"
import { type LayeredPolicy, layerPolicies, type PolicyLayer } from "../schema/LayeredPolicy.ts"
import { Policy as PolicySchema } from "../schema/PolicySchema.ts"
import type { MeshSettings } from "./MeshSettings.ts"
import { OwnerPolicies } from "./OwnerPolicies.ts"

export interface ServicePoliciesOptions {
  readonly config: NodeConfig
  /** How the config is called where it is told what holds. */
  readonly configName: string
  readonly settings: Pick<MeshSettings, "subscribe">
  readonly catalogue: Pick<CatalogueShape, "current" | "subscribe">
  /** Hears of all policies that somebody says anything of, at once and when one changed. */
  readonly tell: (policies: ReadonlyMap<ServiceName, Policy>) => void
  /** Runs it at the end of this turn: what many say in one is told once. */
  readonly later: (run: () => void) => void
}

const encode = Schema.encodeSync(PolicySchema)

export class ServicePolicies {
  readonly #options: ServicePoliciesOptions
  readonly #owners = new OwnerPolicies()
  readonly #policies = new Map<ServiceName, Policy>()
  #config: NodeConfig
  #settings: ReadonlyMap<string, SettingInForce> = new Map()
  /** Of which something else may be said than was looked at. */
  #touched = new Set<string>()
  #isDue = false

  /** Follows what there is for as long as the catalogue lives. */
  constructor(options: ServicePoliciesOptions) {
    const { catalogue, config, settings } = options
    this.#options = options
    this.#config = config
    this.#owners.follow(catalogue.current().changesSince(Catalogue.empty))
    catalogue.subscribe((_, changes) => this.#touch(this.#owners.follow(changes)))
    settings.subscribe("policy", (ofKind) => {
      const before = this.#settings
      this.#settings = ofKind
      const names = new Set([...before.keys(), ...ofKind.keys()])
      this.#touch(Array.from(names).filter((name) => before.get(name) !== ofKind.get(name)))
    })
    for (const name of [...this.#owners.services(), ...Object.keys(config.policies)]) {
      this.#touched.add(name)
    }
    this.#settle()
    options.tell(new Map(this.#policies))
  }

  /** Another config is in effect; done when request threads are told. */
  follow(config: NodeConfig): void {
    const before = this.#config
    this.#config = config
    for (const { policies } of [before, config]) {
      for (const name of Object.keys(policies)) this.#touched.add(name)
    }
    this.#tell()
  }

  explain(service: ServiceName): LayeredPolicy {
    return layerPolicies(this.#layers(service))
  }

  #layers(service: ServiceName): ReadonlyArray<PolicyLayer> {
    const layers: Array<PolicyLayer> = []
    const { policies, writtenPolicies } = this.#config
    const own = policies[service]
    if (own !== undefined) {
      const written = writtenPolicies?.[service] ?? encode(own)
      layers.push({ source: "config", by: this.#options.configName, written })
    }
    const setting = this.#settings.get(service)
    if (setting !== undefined) {
      const { author, body, node } = setting
      layers.push({ source: "mesh", by: `${author} on ${node}`, written: body })
    }
    const owner = this.#owners.of(service)
    if (owner !== undefined) {
      layers.push({ source: "owner", by: owner.node, written: owner.written })
    }
    return layers
  }

  #touch(names: Iterable<string>): void {
    for (const name of names) this.#touched.add(name)
    if (this.#touched.size === 0 || this.#isDue) return
    this.#isDue = true
    this.#options.later(() => {
      this.#isDue = false
      this.#tell()
    })
  }

  #tell(): void {
    if (this.#settle()) this.#options.tell(new Map(this.#policies))
  }

  /** Looks at what was touched; does anything else hold? */
  #settle(): boolean {
    let isNews = false
    for (const name of this.#touched) {
      if (!isServiceName(name)) continue
      const layers = this.#layers(name)
      const before = this.#policies.get(name)
      const after = layers.length === 0 ? undefined : layerPolicies(layers).policy
      if (isDeepStrictEqual(before, after)) continue
      isNews = true
      if (after === undefined) this.#policies.delete(name)
      else this.#policies.set(name, after)
    }
    this.#touched = new Set()
    return isNews
  }
}
