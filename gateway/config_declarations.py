"""From the config's sections of accounts to what is declared: names, secrets and models checked against each other and the catalogue."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.config_accounts import KeyDeclaration, LimitFields, OrgDeclaration, TeamDeclaration
from gateway.config_schema import nearest
from gateway.config_sections import KeySection, OrgSection
from gateway.config_text import Problems, join
from gateway.domain.accounts import ANY, Limits
from gateway.domain.catalog import Catalog
from gateway.webhooks.signing import any_secret_bytes


@dataclass(frozen=True, slots=True)
class Declarations:
    """Collects problems on the way. `catalog` is None where it has problems of its own: then no model is checked."""

    catalog: Catalog | None
    known_models: tuple[str, ...]
    problems: Problems

    def orgs(self, sections: Sequence[OrgSection]) -> tuple[OrgDeclaration, ...]:
        """Names unique among siblings, secrets unique everywhere, models known."""
        secrets: dict[str, str] = {}
        orgs: list[OrgDeclaration] = []
        self._check_unique("accounts", "org", [org.org for org in sections])
        for index, org in enumerate(sections):
            place = join("accounts", index)
            self._check_unique(f"{place}.teams", "team", [team.team for team in org.teams])
            teams: list[TeamDeclaration] = []
            for number, team in enumerate(org.teams):
                there = f"{place}.teams[{number}]"
                keys = self._keys(team.keys, there, secrets)
                limits, zone = self._limits(team, there), team.timezone or org.timezone
                teams.append(TeamDeclaration(team.team, team.budgets, keys, limits, zone))
            keys = self._keys(org.keys, place, secrets)
            limits = self._limits(org, place)
            orgs.append(OrgDeclaration(org.org, org.budgets, tuple(teams), keys, limits, org.timezone, org.markup))
        return tuple(orgs)

    def _limits(self, section: LimitFields, place: str) -> Limits:
        models = self._models_of(section, place)
        return Limits(section.rpm, section.concurrency, models, section.sizes, section.n_max)

    def _keys(self, keys: tuple[KeySection, ...], parent: str, secrets: dict[str, str]) -> tuple[KeyDeclaration, ...]:
        """Names unique among siblings, secrets unique everywhere, models known."""
        self._check_unique(f"{parent}.keys", "name", [key.name for key in keys])
        made: list[KeyDeclaration] = []
        for index, key in enumerate(keys):
            place = f"{parent}.keys[{index}]"
            other = secrets.setdefault(key.secret.strip(), place)
            if other != place:
                self.problems.add(
                    f"{place}.secret", key.secret, f"{other} has the same secret", "Give every key its own."
                )
            limits = self._limits(key, place)
            made.append(
                KeyDeclaration(
                    key.name,
                    key.secret,
                    key.budgets,
                    limits.models,
                    key.response,
                    replace(limits, models=ANY),
                    key.expires,
                    key.choose_upstream,
                    None if key.callback_secret is None else any_secret_bytes(key.callback_secret),
                    key.cache,
                )
            )
        return tuple(made)

    def _models_of(self, section: LimitFields, place: str) -> tuple[str, ...]:
        if self.catalog is None:
            return section.models
        aliases = self.catalog.aliases
        known = sorted({"*", *self.known_models, *aliases})
        for index, name in enumerate(section.models):
            if name not in known:
                self.problems.add(f"{place}.models[{index}]", name, "is no model", nearest(name, known))
        return tuple(aliases.get(name, name) for name in section.models)

    def _check_unique(self, parent: str, field: str, names: list[str]) -> None:
        for index, name in enumerate(names):
            if name in names[:index]:
                key = f"{join(parent, index)}.{field}"
                self.problems.add(
                    key, name, "this name is taken", "Choose another: accounts and keys are known by their names."
                )
