"""The verbs on stored objects: get, list, create, update, patch, delete. No HTTP; the store is the only state."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from jfsnb.sandbox.apimachinery import clock
from jfsnb.sandbox.apiserver.http.bodies import decoded, only_given, stored_kind, take_namespace
from jfsnb.sandbox.apiserver.http.request import Options, Target
from jfsnb.sandbox.apiserver.patching import ownership
from jfsnb.sandbox.apiserver.patching.apply import apply
from jfsnb.sandbox.apiserver.patching.patch import json_patch, merge_patch, strategic_merge
from jfsnb.sandbox.apiserver.rules import admission, strategy, validate
from jfsnb.sandbox.apiserver.rules.names import check_name
from jfsnb.sandbox.apiserver.rules.status import (
    Cause,
    Failure,
    already_exists,
    bad_request,
    being_deleted,
    conflict,
    forbidden,
    invalid,
    not_found,
    stale,
    success,
)
from jfsnb.sandbox.apiserver.schema.codec import Report, compiled, decode, empty
from jfsnb.sandbox.apiserver.schema.defaults import apply_defaults
from jfsnb.sandbox.apiserver.schema.resources import Resource, by_kind, schema_name, schema_of
from jfsnb.sandbox.apiserver.storage.store import Entry, Store

Obj = dict[str, Any]
FINALIZERS = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}


@dataclass
class Outcome:
    """What a write led to.

    Args:
        entry: the object as it is now (or would be, in a dry run).
        status: a Status object that answers instead of it.
        code: HTTP status code.
        warnings: texts of ``Warning`` headers.
    """

    entry: Entry
    status: Obj | None = None
    code: int = 200
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class DeleteOptions:
    """The body of a delete."""

    grace: int | None = None
    propagation: str = ""
    uid: str = ""
    resource_version: str = ""
    dry_run: bool = False


class Registry:
    """The verbs over one store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def get(self, target: Target) -> Entry:
        entry = self.store.get(target.resource.storage, target.namespace, target.name)
        if entry is None:
            raise not_found(target.resource.plural, target.resource.group, target.name)
        return entry

    def would_create(self, target: Target, by: str) -> bool:
        """Whether a write makes a new object.

        Args:
            target: what is written.
            by: ``apply``, or the method.
        """
        if target.subresource or self.store.get(target.resource.storage, target.namespace, target.name) is not None:
            return False
        return by == "apply" or (by == "PUT" and target.resource.storage in strategy.CREATED_BY_UPDATE)

    # ---- create -----------------------------------------------------------------------------------------------

    def create(self, target: Target, body: Any, options: Options, managed: list[Obj] | None = None) -> Outcome:
        """Create an object.

        Args:
            target: the collection.
            body: the object as it was sent.
            options: of the request.
            managed: its field owners, when it is created by an apply.
        """
        resource = target.resource
        obj, warnings = decoded(resource, body, options)
        meta = obj["metadata"]
        take_namespace(target, meta)
        name = meta.get("name") or ""
        admission.check_namespace(self.store, target, name or meta.get("generateName") or "")
        if meta.get("resourceVersion"):
            raise bad_request("resourceVersion should not be set on objects to be created")
        if not name and meta.get("generateName"):
            name = meta["name"] = self._generated(target, meta["generateName"])
        apply_defaults(resource, obj)
        check_name(resource, meta)
        validate.check_spec(resource, obj)
        existing = self.store.get(resource.storage, target.namespace, name)
        if existing is not None:
            deleted = '"deletionTimestamp"' in existing.raw.decode() and existing.obj["metadata"].get(
                "deletionTimestamp"
            )
            raise (being_deleted if deleted else already_exists)(resource.plural, resource.group, name)
        strategy.prepare_create(resource, obj)
        self._empty_status(resource, obj)
        admission.admit(self.store, target, obj)
        if managed is None:
            managed = _owned_by(resource, obj, options.manager)
        obj["metadata"]["managedFields"] = managed
        return Outcome(self._store(resource, obj, options.dry_run), code=201, warnings=warnings)

    def _empty_status(self, resource: Resource, obj: Obj) -> None:
        """A kind with a status shows it from the start, with the zeros that Go always writes."""
        status = compiled(schema_name(*stored_kind(resource))).fields.get("status")
        if "status" in resource.subresources and status is not None and "status" not in obj:
            obj["status"] = decode({}, status, Report(resource.kind, resource.version))

    def restore(self, obj: Obj) -> None:
        """Load an object as it is: its times, uid and status are kept, what is missing is filled in."""
        resource = by_kind(obj["apiVersion"], obj["kind"])
        if resource is None:
            raise bad_request(f"no such kind: {obj['apiVersion']} {obj['kind']}")
        loaded, _ = decoded(resource, obj, Options())
        apply_defaults(resource, loaded)
        kept = {k: v for k, v in loaded["metadata"].items() if k in ("uid", "creationTimestamp")}
        status = loaded.get("status")
        strategy.prepare_create(resource, loaded)
        loaded["metadata"] |= kept
        if status:
            loaded["status"] = status
        if resource.storage in ("/persistentvolumeclaims", "/persistentvolumes"):
            admission.admit(self.store, Target(resource, loaded["metadata"].get("namespace", "")), loaded)
        self.store.put(resource.storage, loaded)

    def _generated(self, target: Target, prefix: str) -> str:
        while True:
            name = prefix[:58] + admission.suffix()
            if self.store.get(target.resource.storage, target.namespace, name) is None:
                return name

    def _store(self, resource: Resource, obj: Obj, dry_run: bool) -> Entry:
        if not dry_run:
            return self.store.put(resource.storage, obj)
        meta = obj["metadata"]
        return Entry(resource.storage, f"{meta.get('namespace', '')}/{meta['name']}", obj, self.store.revision)

    # ---- update -----------------------------------------------------------------------------------------------

    def update(self, target: Target, body: Any, options: Options) -> Outcome:
        if self.would_create(target, "PUT"):
            return self._create_by_update(target, body, options)
        entry = self.get(target)
        new, warnings = decoded(target.resource, body, options)
        meta = new["metadata"]
        take_namespace(target, meta)
        if not meta.get("name"):
            raise bad_request("the name of the object (based on URL) was undeterminable: name must be provided")
        if meta["name"] != target.name:
            raise bad_request(
                f"the name of the object ({meta['name']}) does not match the name on the URL ({target.name})"
            )
        if meta.get("uid") and meta["uid"] != entry.uid:
            raise conflict(
                target.resource.plural,
                target.resource.group,
                target.name,
                f"Precondition failed: UID in precondition: {meta['uid']}, UID in object meta: {entry.uid}",
            )
        if target.resource.storage in strategy.NEVER_UNCONDITIONAL and not meta.get("resourceVersion"):
            cause = Cause(
                "FieldValueInvalid", "Invalid value: 0: must be specified for an update", "metadata.resourceVersion"
            )
            raise invalid(target.resource.kind, target.resource.group, target.name, [cause])
        return self._replace(target, entry, new, options, warnings)

    def _create_by_update(self, target: Target, body: Any, options: Options) -> Outcome:
        meta = body.get("metadata") if isinstance(body, dict) else None
        name = meta.get("name") if isinstance(meta, dict) else None
        if name != target.name:
            raise bad_request(f"the name of the object ({name}) does not match the name on the URL ({target.name})")
        body = {**body, "metadata": {k: v for k, v in meta.items() if k != "resourceVersion"}} if meta else body
        return self.create(Target(target.resource, target.namespace), body, options)

    def _replace(
        self, target: Target, entry: Entry, new: Obj, options: Options, warnings: list[str], applied: bool = False
    ) -> Outcome:
        resource, old = target.resource, entry.obj
        version = new["metadata"].get("resourceVersion")
        if version and version != old["metadata"]["resourceVersion"]:
            raise stale(resource.plural, resource.group, target.name)
        managed = new["metadata"].pop("managedFields", None)
        apply_defaults(resource, new)
        new = strategy.prepare_update(resource, new, old, target.subresource)
        if resource.storage == "/pods" and not target.subresource:
            had = [t.get("key") for t in old["spec"].get("tolerations") or ()]
            admission.tolerate_node_trouble(new["spec"], [k for k in admission.NODE_TROUBLE if k in had])
        validate.check_update(resource, new, old)
        if target.subresource != "status":
            validate.check_spec(resource, new)
            if resource.storage == "/persistentvolumeclaims":
                admission.check_resize(self.store, new, old)
        owners = old["metadata"].get("managedFields") or []
        given = [] if managed == [{}] else owners if managed is None else managed
        if new == old and given == owners:
            return Outcome(entry, warnings=warnings)
        if not applied:
            given = [e for e in given if ownership.is_valid(e)]
            schema, version = schema_of(*stored_kind(resource)), resource.group_version
            given = ownership.updated(
                new, old, given, schema, options.manager, version, clock.now(), target.subresource
            )
        _set_managed(new["metadata"], given)
        if strategy.is_gone(resource, new):
            if options.dry_run:
                return Outcome(self._store(resource, new, True), warnings=warnings)
            return Outcome(self.store.remove(resource.storage, entry, new), warnings=warnings)
        return Outcome(self._store(resource, new, options.dry_run), warnings=warnings)

    def edit(self, target: Target, change: Callable[[Obj], Obj], options: Options) -> Outcome:
        """Replace an object by what a function makes of it, as a subresource does on behalf of its user."""
        entry = self.get(target)
        return self._replace(target, entry, change(entry.obj), options, [])

    def rewrite(self, target: Target, change: Callable[[Obj], Obj], options: Options) -> Entry:
        """As ``edit``, past all rules about what an update may change: for what the server itself does to an object."""
        entry = self.get(target)
        changed = change(entry.obj)
        return self._store(target.resource, changed, options.dry_run)

    # ---- patch ------------------------------------------------------------------------------------------------

    def patch(self, target: Target, kind: str, body: Any, options: Options) -> Outcome:
        """Apply a patch of one of the media types in request.PATCH_TYPES."""
        resource = target.resource
        if kind == "application/apply-patch+yaml":
            return self._apply(target, body, options)
        entry = self.get(target)
        old = entry.obj
        current = {"kind": resource.kind, "apiVersion": resource.group_version, **old}
        patched = self.patched(resource, kind, body, current)
        try:
            new, warnings = decoded(resource, patched, options)
        except Failure as failure:
            raise _of_patch(failure, kind, patched) from failure
        self._check_identity(target, new, old)
        return self._replace(target, entry, new, options, warnings)

    def patched(self, resource: Resource, kind: str, body: Any, current: Obj) -> Obj:
        """What a JSON, merge or strategic merge patch makes of an object.

        Raises:
            Failure: 400 for something that is no patch, 422 for one that cannot be applied.
        """
        if kind == "application/json-patch+json":
            result = json_patch(current, body)
        elif not isinstance(body, dict):
            raise bad_request("json: cannot unmarshal into Go value of type map[string]interface {}")
        elif kind == "application/merge-patch+json":
            result = merge_patch(current, body)
        else:
            result = strategic_merge(current, body, schema_of(*stored_kind(resource)))
        if not isinstance(result, dict):
            raise bad_request("json: cannot unmarshal into Go value: the patched object is no object")
        return result

    def _check_identity(self, target: Target, new: Obj, old: Obj) -> None:
        resource, meta, before = target.resource, new["metadata"], old["metadata"]
        if meta.get("name", "") != target.name:
            raise bad_request(
                f"the name of the object ({meta.get('name', '')}) does not match the name on the URL ({target.name})"
            )
        if meta.get("namespace", "") != target.namespace:
            raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
        if meta.get("uid") != before["uid"]:
            text = f'Invalid value: "{meta.get("uid", "")}": field is immutable'
            raise invalid(
                resource.kind, resource.group, target.name, [Cause("FieldValueInvalid", text, "metadata.uid")]
            )

    def _apply(self, target: Target, body: Any, options: Options) -> Outcome:
        resource = target.resource
        if not options.field_manager:
            cause = Cause("FieldValueRequired", "Required value: is required for apply patch", "fieldManager")
            raise Failure(
                422,
                "Invalid",
                f'PatchOptions.meta.k8s.io "" is invalid: fieldManager: {cause.message}',
                {"group": "meta.k8s.io", "kind": "PatchOptions", "causes": [cause.to_dict()]},
            )
        if not isinstance(body, dict):
            raise bad_request("error decoding YAML: the body is no object")
        for key, wanted in (("apiVersion", resource.group_version), ("kind", resource.kind)):
            if body.get(key) != wanted:
                raise bad_request(f"invalid object type: {key} must be {wanted}")
        applied, unknown = decoded(resource, body, replace(options, field_validation="Warn"))
        if unknown:
            raise _undeclared(target, unknown[0])
        meta = applied["metadata"]
        take_namespace(target, meta)
        meta["name"] = meta.get("name") or target.name
        if meta["name"] != target.name:
            raise bad_request(
                f"the name of the object ({meta['name']}) does not match the name on the URL ({target.name})"
            )
        if meta.get("managedFields"):
            raise bad_request("metadata.managedFields must be nil")
        applied = only_given(applied, body)
        entry = self.store.get(resource.storage, target.namespace, target.name)
        live = entry.obj if entry else None
        if live is None and target.subresource:
            raise not_found(resource.plural, resource.group, target.name)
        if "status" in resource.subresources and target.subresource != "status":
            applied.pop("status", None)
        if live is not None and not live["metadata"].get("managedFields"):
            live["metadata"]["managedFields"] = _owned_by(resource, live, "before-first-apply")
        merged = apply(
            live,
            {"apiVersion": resource.group_version, **applied},
            schema_of(*stored_kind(resource)),
            options.field_manager,
            clock.now(),
            options.force,
            target.subresource,
        )
        merged.pop("apiVersion", None)
        managed = merged["metadata"].get("managedFields")
        if entry is None:
            return self.create(target, merged, options, managed)
        new, _ = decoded(resource, merged, options)
        new["metadata"]["managedFields"] = managed
        return self._replace(target, entry, new, options, [], applied=True)

    # ---- delete -----------------------------------------------------------------------------------------------

    def delete(self, target: Target, options: DeleteOptions) -> Outcome:
        entry = self.get(target)
        resource, obj = target.resource, entry.obj
        meta = obj["metadata"]
        if resource.storage == "/namespaces" and target.name in strategy.IMMORTAL:
            why = "this namespace may not be deleted"
            raise forbidden(f'namespaces "{target.name}" is forbidden: {why}', target.name, "", "namespaces")
        _check_preconditions(target, options, meta)
        grace = strategy.grace_period(resource, obj, options.grace)
        finalizer = FINALIZERS.get(options.propagation)
        if finalizer and finalizer not in meta.get("finalizers", ()) and "deletionTimestamp" not in meta:
            meta.setdefault("finalizers", []).append(finalizer)
        waits = bool(grace) or bool(meta.get("finalizers"))
        waits = waits or (resource.storage == "/namespaces" and bool((obj.get("spec") or {}).get("finalizers")))
        if waits:
            changed = strategy.mark_deleted(resource, obj, grace)
            return Outcome(self._store(resource, obj, options.dry_run) if changed else entry)
        if grace is not None:
            strategy.mark_deleted(resource, obj, 0)
        final = entry if options.dry_run else self.store.remove(resource.storage, entry, obj)
        if resource.storage in strategy.RETURNS_DELETED:
            return Outcome(final)
        return Outcome(final, success(resource.plural, resource.group, target.name, meta["uid"]))


def _owned_by(resource: Resource, obj: Obj, manager: str) -> list[Obj]:
    """The managedFields of an object that one manager made."""
    kind, since = stored_kind(resource), obj["metadata"]["creationTimestamp"]
    nothing = empty(compiled(schema_name(*kind)))
    return ownership.created(obj, schema_of(*kind), manager, resource.group_version, since, nothing)


def _undeclared(target: Target, unknown: str) -> Failure:
    resource, path = target.resource, unknown.partition('"')[2].rstrip('"')
    kind = f"{resource.group}/{resource.version}, Kind={resource.kind}"
    what = f"({target.namespace}/{target.name}; {kind})"
    return bad_request(f"failed to create typed patch object {what}: .{path}: field not declared in schema")


def _set_managed(meta: Obj, entries: list[Obj]) -> None:
    if entries:
        meta["managedFields"] = entries
    else:
        meta.pop("managedFields", None)


def _check_preconditions(target: Target, options: DeleteOptions, meta: Obj) -> None:
    plural, group = target.resource.plural, target.resource.group
    if options.uid and options.uid != meta["uid"]:
        why = f"the UID in the precondition ({options.uid}) does not match the UID in record ({meta['uid']})."
        raise conflict(plural, group, target.name, why + " The object might have been deleted and then recreated")
    if options.resource_version and options.resource_version != meta["resourceVersion"]:
        why = f"the ResourceVersion in the precondition ({options.resource_version}) does not match the ResourceVersion"
        raise conflict(
            plural,
            group,
            target.name,
            f"{why} in record ({meta['resourceVersion']}). The object might have been modified",
        )


_UNMARSHAL = re.compile(r"json: cannot unmarshal (\S+) into Go \S.* of type (\S+)$")


def _of_patch(failure: Failure, kind: str, patched: Any) -> Failure:
    """What is wrong with what a patch makes of an object is the patch's fault: 422, without a kind.

    Args:
        kind: media type of the patch. patched: what it makes.
    """
    wrong = _UNMARSHAL.search(failure.message)
    if failure.code != 400 or not (wrong or failure.message.startswith("strict decoding error")):
        return failure
    text = wrong[0] if wrong else failure.message
    if wrong and kind == "application/strategic-merge-patch+json":
        said = {"number": "int64"}.get(wrong[1], wrong[1])
        text = (
            f"cannot restore map from {said}"
            if wrong[2].startswith(("map", "v1."))
            else f"cannot convert {said} to {wrong[2]}"
        )
    shown = orjson.dumps(orjson.dumps(patched).decode()).decode()
    cause = Cause("FieldValueInvalid", f"Invalid value: {shown}: {text}", "patch")
    return Failure(422, "Invalid", f' "" is invalid: patch: {cause.message}', {"causes": [cause.to_dict()]})
