"""The Kubernetes API, served on loopback.

Way of a request: ``server`` (socket) → ``handler`` (who, what, may they) → ``registry`` (verbs) → ``store`` (objects).

- Data: ``data/`` and ``resources`` (kinds), ``codec`` (JSON along a schema), ``protobuf``, ``quantity``.
- Rules: ``names``, ``validate``, ``pod_rules``, ``defaults``, ``admission``, ``strategy``; pure but for the store.
- Changes: ``patch``, ``apply``, ``ownership`` (field managers), ``subresources``, ``reviews``.
- Answers: ``views``, ``tables`` and printers, ``lists``, ``watches``, ``discovery``, ``openapi``, ``status``.
- Access: ``authentication``, ``tokens``, ``authorization``; nodes: ``proxy``.
"""
