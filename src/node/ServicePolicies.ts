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
  /** Hears of all policies that are not the default, at once and whenever one changed. */
  readonly tell: (policies: ReadonlyMap<ServiceName, Policy>) => void
}

const encode = Schema.encodeSync(PolicySchema)

export class ServicePolicies {
  readonly #options: ServicePoliciesOptions
  readonly #owners = new OwnerPolicies()
  #config: NodeConfig
  #settings: ReadonlyMap<string, SettingInForce> = new Map()
  #told: ReadonlyMap<ServiceName, Policy> | undefined

  /** Follows what there is for as long as the catalogue lives. */
  constructor(options: ServicePoliciesOptions) {
    const { catalogue, config, settings } = options
    this.#options = options
    this.#config = config
    this.#owners.follow(catalogue.current().changesSince(Catalogue.empty))
    catalogue.subscribe((_, changes) => {
      if (this.#owners.follow(changes).size > 0) this.#tell()
    })
    settings.subscribe("policy", (ofKind) => {
      this.#settings = ofKind
      this.#tell()
    })
  }

  /** Another config is in effect. */
  follow(config: NodeConfig): void {
    this.#config = config
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

  #tell(): void {
    const names = new Set<ServiceName>(this.#owners.services())
    for (const name of [...Object.keys(this.#config.policies), ...this.#settings.keys()]) {
      if (isServiceName(name)) names.add(name)
    }
    const policies = new Map(
      Array.from(names, (name) => [name, layerPolicies(this.#layers(name)).policy])
    )
    if (isDeepStrictEqual(policies, this.#told)) return
    this.#told = policies
    this.#options.tell(policies)
  }
}
