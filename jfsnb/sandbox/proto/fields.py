"""The messages of csi.v1 and pluginregistration as field tables: facts of the CSI specification (v1.12).

One message a line: its name, then ``field:type=number`` for each field. A type is a protobuf scalar, a message or enum
of the same package, ``map`` (string to string), or one of ``google.protobuf``; ``*`` before it means repeated and
``|name`` after the number puts the field into that oneof. A message without fields has only its name.
"""

from __future__ import annotations

CSI_PACKAGE = "csi.v1"
CSI_MESSAGES = """
GetPluginInfoRequest
GetPluginInfoResponse name:string=1 vendor_version:string=2 manifest:map=3
GetPluginCapabilitiesRequest
GetPluginCapabilitiesResponse capabilities:*PluginCapability=1
PluginCapability service:PluginCapability.Service=1|type volume_expansion:PluginCapability.VolumeExpansion=2|type
PluginCapability.Service type:PluginCapability.Service.Type=1
PluginCapability.VolumeExpansion type:PluginCapability.VolumeExpansion.Type=1
ProbeRequest
ProbeResponse ready:google.protobuf.BoolValue=1

CreateVolumeRequest name:string=1 capacity_range:CapacityRange=2 volume_capabilities:*VolumeCapability=3 \
  parameters:map=4 secrets:map=5 volume_content_source:VolumeContentSource=6 \
  accessibility_requirements:TopologyRequirement=7 mutable_parameters:map=8
CreateVolumeResponse volume:Volume=1
VolumeContentSource snapshot:VolumeContentSource.SnapshotSource=1|type volume:VolumeContentSource.VolumeSource=2|type
VolumeContentSource.SnapshotSource snapshot_id:string=1
VolumeContentSource.VolumeSource volume_id:string=1
VolumeCapability block:VolumeCapability.BlockVolume=1|access_type mount:VolumeCapability.MountVolume=2|access_type \
  access_mode:VolumeCapability.AccessMode=3
VolumeCapability.BlockVolume
VolumeCapability.MountVolume fs_type:string=1 mount_flags:*string=2 volume_mount_group:string=3
VolumeCapability.AccessMode mode:VolumeCapability.AccessMode.Mode=1
CapacityRange required_bytes:int64=1 limit_bytes:int64=2
Volume capacity_bytes:int64=1 volume_id:string=2 volume_context:map=3 content_source:VolumeContentSource=4 \
  accessible_topology:*Topology=5
TopologyRequirement requisite:*Topology=1 preferred:*Topology=2
Topology segments:map=1
DeleteVolumeRequest volume_id:string=1 secrets:map=2
DeleteVolumeResponse
ControllerPublishVolumeRequest volume_id:string=1 node_id:string=2 volume_capability:VolumeCapability=3 \
  readonly:bool=4 secrets:map=5 volume_context:map=6
ControllerPublishVolumeResponse publish_context:map=1
ControllerUnpublishVolumeRequest volume_id:string=1 node_id:string=2 secrets:map=3
ControllerUnpublishVolumeResponse
ValidateVolumeCapabilitiesRequest volume_id:string=1 volume_context:map=2 volume_capabilities:*VolumeCapability=3 \
  parameters:map=4 secrets:map=5 mutable_parameters:map=6
ValidateVolumeCapabilitiesResponse confirmed:ValidateVolumeCapabilitiesResponse.Confirmed=1 message:string=2
ValidateVolumeCapabilitiesResponse.Confirmed volume_context:map=1 volume_capabilities:*VolumeCapability=2 \
  parameters:map=3 mutable_parameters:map=4
ListVolumesRequest max_entries:int32=1 starting_token:string=2
ListVolumesResponse entries:*ListVolumesResponse.Entry=1 next_token:string=2
ListVolumesResponse.VolumeStatus published_node_ids:*string=1 volume_condition:VolumeCondition=2
ListVolumesResponse.Entry volume:Volume=1 status:ListVolumesResponse.VolumeStatus=2
GetCapacityRequest volume_capabilities:*VolumeCapability=1 parameters:map=2 accessible_topology:Topology=3
GetCapacityResponse available_capacity:int64=1 maximum_volume_size:google.protobuf.Int64Value=2 \
  minimum_volume_size:google.protobuf.Int64Value=3
ControllerGetCapabilitiesRequest
ControllerGetCapabilitiesResponse capabilities:*ControllerServiceCapability=1
ControllerServiceCapability rpc:ControllerServiceCapability.RPC=1|type
ControllerServiceCapability.RPC type:ControllerServiceCapability.RPC.Type=1
CreateSnapshotRequest source_volume_id:string=1 name:string=2 secrets:map=3 parameters:map=4
CreateSnapshotResponse snapshot:Snapshot=1
Snapshot size_bytes:int64=1 snapshot_id:string=2 source_volume_id:string=3 creation_time:google.protobuf.Timestamp=4 \
  ready_to_use:bool=5 group_snapshot_id:string=6
DeleteSnapshotRequest snapshot_id:string=1 secrets:map=2
DeleteSnapshotResponse
ListSnapshotsRequest max_entries:int32=1 starting_token:string=2 source_volume_id:string=3 snapshot_id:string=4 \
  secrets:map=5
ListSnapshotsResponse entries:*ListSnapshotsResponse.Entry=1 next_token:string=2
ListSnapshotsResponse.Entry snapshot:Snapshot=1
GetSnapshotRequest snapshot_id:string=1 secrets:map=2
GetSnapshotResponse snapshot:Snapshot=1
ControllerExpandVolumeRequest volume_id:string=1 capacity_range:CapacityRange=2 secrets:map=3 \
  volume_capability:VolumeCapability=4
ControllerExpandVolumeResponse capacity_bytes:int64=1 node_expansion_required:bool=2
ControllerGetVolumeRequest volume_id:string=1
ControllerGetVolumeResponse volume:Volume=1 status:ControllerGetVolumeResponse.VolumeStatus=2
ControllerGetVolumeResponse.VolumeStatus published_node_ids:*string=1 volume_condition:VolumeCondition=2
ControllerModifyVolumeRequest volume_id:string=1 secrets:map=2 mutable_parameters:map=3
ControllerModifyVolumeResponse

NodeStageVolumeRequest volume_id:string=1 publish_context:map=2 staging_target_path:string=3 \
  volume_capability:VolumeCapability=4 secrets:map=5 volume_context:map=6
NodeStageVolumeResponse
NodeUnstageVolumeRequest volume_id:string=1 staging_target_path:string=2
NodeUnstageVolumeResponse
NodePublishVolumeRequest volume_id:string=1 publish_context:map=2 staging_target_path:string=3 target_path:string=4 \
  volume_capability:VolumeCapability=5 readonly:bool=6 secrets:map=7 volume_context:map=8
NodePublishVolumeResponse
NodeUnpublishVolumeRequest volume_id:string=1 target_path:string=2
NodeUnpublishVolumeResponse
NodeGetVolumeStatsRequest volume_id:string=1 volume_path:string=2 staging_target_path:string=3
NodeGetVolumeStatsResponse usage:*VolumeUsage=1 volume_condition:VolumeCondition=2
VolumeUsage available:int64=1 total:int64=2 used:int64=3 unit:VolumeUsage.Unit=4
VolumeCondition abnormal:bool=1 message:string=2
NodeGetCapabilitiesRequest
NodeGetCapabilitiesResponse capabilities:*NodeServiceCapability=1
NodeServiceCapability rpc:NodeServiceCapability.RPC=1|type
NodeServiceCapability.RPC type:NodeServiceCapability.RPC.Type=1
NodeGetInfoRequest
NodeGetInfoResponse node_id:string=1 max_volumes_per_node:int64=2 accessible_topology:Topology=3
NodeExpandVolumeRequest volume_id:string=1 volume_path:string=2 capacity_range:CapacityRange=3 \
  staging_target_path:string=4 volume_capability:VolumeCapability=5 secrets:map=6
NodeExpandVolumeResponse capacity_bytes:int64=1
"""
# One enum a line; the values count from 0.
CSI_ENUMS = """
PluginCapability.Service.Type UNKNOWN CONTROLLER_SERVICE VOLUME_ACCESSIBILITY_CONSTRAINTS GROUP_CONTROLLER_SERVICE \
  SNAPSHOT_METADATA_SERVICE
PluginCapability.VolumeExpansion.Type UNKNOWN ONLINE OFFLINE
VolumeCapability.AccessMode.Mode UNKNOWN SINGLE_NODE_WRITER SINGLE_NODE_READER_ONLY MULTI_NODE_READER_ONLY \
  MULTI_NODE_SINGLE_WRITER MULTI_NODE_MULTI_WRITER SINGLE_NODE_SINGLE_WRITER SINGLE_NODE_MULTI_WRITER
ControllerServiceCapability.RPC.Type UNKNOWN CREATE_DELETE_VOLUME PUBLISH_UNPUBLISH_VOLUME LIST_VOLUMES GET_CAPACITY \
  CREATE_DELETE_SNAPSHOT LIST_SNAPSHOTS CLONE_VOLUME PUBLISH_READONLY EXPAND_VOLUME LIST_VOLUMES_PUBLISHED_NODES \
  VOLUME_CONDITION GET_VOLUME SINGLE_NODE_MULTI_WRITER MODIFY_VOLUME GET_SNAPSHOT
NodeServiceCapability.RPC.Type UNKNOWN STAGE_UNSTAGE_VOLUME GET_VOLUME_STATS EXPAND_VOLUME VOLUME_CONDITION \
  SINGLE_NODE_MULTI_WRITER VOLUME_MOUNT_GROUP
VolumeUsage.Unit UNKNOWN BYTES INODES
"""

REGISTRATION_PACKAGE = "pluginregistration"
REGISTRATION_MESSAGES = """
PluginInfo type:string=1 name:string=2 endpoint:string=3 supported_versions:*string=4
RegistrationStatus plugin_registered:bool=1 error:string=2
RegistrationStatusResponse
InfoRequest
"""

# service -> method -> (request, response); in csi.v1 these are always <method>Request and <method>Response.
METHODS = {
    "csi.v1.Identity": "GetPluginInfo GetPluginCapabilities Probe",
    "csi.v1.Controller": """CreateVolume DeleteVolume ControllerPublishVolume ControllerUnpublishVolume
        ValidateVolumeCapabilities ListVolumes GetCapacity ControllerGetCapabilities CreateSnapshot DeleteSnapshot
        ListSnapshots GetSnapshot ControllerExpandVolume ControllerGetVolume ControllerModifyVolume""",
    "csi.v1.Node": """NodeStageVolume NodeUnstageVolume NodePublishVolume NodeUnpublishVolume NodeGetVolumeStats
        NodeExpandVolume NodeGetCapabilities NodeGetInfo""",
}
REGISTRATION_METHODS = {
    "GetInfo": ("InfoRequest", "PluginInfo"),
    "NotifyRegistrationStatus": ("RegistrationStatus", "RegistrationStatusResponse"),
}
